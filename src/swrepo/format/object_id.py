"""Names of content-addressed objects: digest, hash algorithm and the letter of their kind.

The digest is over the bytes *as stored* (compressed, where they are compressed).
Source: format.md 2 (crypto/hash.h of CernVM-FS).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cache
from typing import Protocol

from swrepo.errors import FormatError

DIGEST_SIZE = 20


class Hasher(Protocol):
    """What every incremental hash offers."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


class Algorithm(IntEnum):
    """Hash algorithms of content; the numbers are those of the format (0 is MD5, for paths only)."""

    SHA1 = 1
    RIPEMD160 = 2
    SHAKE128 = 3

    @property
    def text_suffix(self) -> str:
        """What follows the hex digits in the text form."""
        return _TEXT_SUFFIX[self]

    def hasher(self) -> Hasher:
        """A fresh incremental hash whose `digest()` has `DIGEST_SIZE` bytes."""
        if self is Algorithm.SHA1:
            return hashlib.sha1(usedforsecurity=False)
        if self is Algorithm.SHAKE128:
            return _Shake128()
        return _ripemd160()()

    def digest(self, data: bytes | bytearray | memoryview) -> bytes:
        """Digest of `data`."""
        if self is Algorithm.SHA1:
            return hashlib.sha1(data, usedforsecurity=False).digest()
        hasher = self.hasher()
        hasher.update(data)
        return hasher.digest()


_TEXT_SUFFIX = {Algorithm.SHA1: "", Algorithm.RIPEMD160: "-rmd160", Algorithm.SHAKE128: "-shake128"}
_ALGORITHM_OF_SUFFIX = {suffix: algorithm for algorithm, suffix in _TEXT_SUFFIX.items()}


class Kind(StrEnum):
    """What an object is; the value is the letter at the end of its path."""

    FILE = ""
    CATALOG = "C"
    HISTORY = "H"
    CERTIFICATE = "X"
    METAINFO = "M"
    PARTIAL = "P"


_TEXT = re.compile(r"([0-9a-f]{40})(-rmd160|-shake128)?")


@dataclass(frozen=True, slots=True)
class ObjectId:
    """The name of one object. `digest` has 20 bytes."""

    algorithm: Algorithm
    digest: bytes
    kind: Kind = Kind.FILE

    def __post_init__(self) -> None:
        if len(self.digest) != DIGEST_SIZE:
            raise FormatError(f"a digest has {DIGEST_SIZE} bytes, not {len(self.digest)}")

    @classmethod
    def parse(cls, text: str, kind: Kind = Kind.FILE) -> ObjectId:
        """Read the text form (hex digits and algorithm, without the kind's letter)."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise FormatError(f"not an object name: {text[:80]!r}")
        return cls(_ALGORITHM_OF_SUFFIX[match[2] or ""], bytes.fromhex(match[1]), kind)

    @classmethod
    def of(cls, stored: bytes, algorithm: Algorithm = Algorithm.SHA1, kind: Kind = Kind.FILE) -> ObjectId:
        """The name that `stored` bytes have."""
        return cls(algorithm, algorithm.digest(stored), kind)

    @property
    def text(self) -> str:
        """Hex digits and algorithm, as in manifests and catalogs (no kind letter)."""
        return self.digest.hex() + self.algorithm.text_suffix

    @property
    def name(self) -> str:
        """The text form with the letter of the kind."""
        return self.text + self.kind

    @property
    def path(self) -> str:
        """Where the object lies below the repository's URL: `data/ab/cdef...C`."""
        digits = self.digest.hex()
        return f"data/{digits[:2]}/{digits[2:]}{_TEXT_SUFFIX[self.algorithm]}{self.kind}"

    @property
    def cache_path(self) -> str:
        """Where the original's cache keeps it: no `data/`, no kind letter."""
        digits = self.digest.hex()
        return f"{digits[:2]}/{digits[2:]}{_TEXT_SUFFIX[self.algorithm]}"

    def with_kind(self, kind: Kind) -> ObjectId:
        """The same digest as another kind of object."""
        return ObjectId(self.algorithm, self.digest, kind)

    def __str__(self) -> str:
        return self.name


class _Shake128:
    """SHAKE-128 cut to 20 bytes, with the interface of a fixed-length hash."""

    __slots__ = ("_shake",)

    def __init__(self) -> None:
        self._shake = hashlib.shake_128(usedforsecurity=False)

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        self._shake.update(data)

    def digest(self) -> bytes:
        return self._shake.digest(DIGEST_SIZE)


@cache
def _ripemd160() -> type[Hasher] | _RipemdFactory:
    """OpenSSL's RIPEMD-160, or pycryptodome's where OpenSSL was built without it."""
    try:
        hashlib.new("ripemd160", usedforsecurity=False)
    except ValueError:
        from Crypto.Hash import RIPEMD160

        return RIPEMD160.new
    return lambda: hashlib.new("ripemd160", usedforsecurity=False)


class _RipemdFactory(Protocol):
    def __call__(self) -> Hasher: ...
