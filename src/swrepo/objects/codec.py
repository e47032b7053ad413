"""Stored bytes <-> plain bytes of an object, in both directions: the only place that hashes and inflates.

Reading is strict. The stored bytes must hash to the object's name, the plain bytes must have the announced size, and a
zlib stream must end where the object ends. However an object lies, memory and output stay bounded: at most the
announced size plus `BLOCK` is ever inflated, and reading stops once no honest object could be that long.

Source: format.md 2, "Compression".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO, NamedTuple

import deflate
from isal import igzip_lib, isal_zlib

from swrepo.errors import (
    CorruptCatalog,
    CorruptCertificate,
    CorruptObject,
    DecompressionBomb,
    ObjectTooLarge,
    TruncatedObject,
)
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Hasher, Kind, ObjectId
from swrepo.objects.store import Want

BLOCK = 1 << 20
"""Plain bytes that are inflated and written in one step."""

DEFAULT_LEVEL = 5
"""Of libdeflate: its streams are then as long as those of zlib's level 6, made in a third of the time."""

ZLIB_LEVEL = 6
"""Of zlib, which makes the streams that are not held in memory: what the original uses."""

EMPTY = bytes.fromhex("789c030000000001")
"""The stored form of nothing. There are several; everybody uses this one, so that empty files are one object."""

_BOMB_RATIO = 100
"""Above it, an object that inflates too far counts as a bomb and not as one that is merely larger than announced."""

_StreamError: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # its stub says instance, not class

_CORRUPT_CLASS: dict[Kind, type[CorruptObject]] = {Kind.CATALOG: CorruptCatalog, Kind.CERTIFICATE: CorruptCertificate}


def decode(blocks: Iterable[bytes], want: Want, out: BinaryIO) -> None:
    """Check the stored bytes in `blocks` against `want` and write the plain ones to `out`.

    When this returns, everything has matched. When it raises (CorruptObject or one of its kinds), what `out` holds is
    worthless: bytes are written before the last of them has been checked.
    """
    if want.compression is Compression.NONE:
        _decode_raw(blocks, want, out)
    else:
        _decode_zlib(blocks, want, out)


def decode_whole(stored: bytes, want: Want) -> bytes:
    """The plain bytes of an object that is in memory and whose size is announced. Raises as `decode`."""
    if want.size and want.id.algorithm.digest(stored) == want.id.digest:
        if want.compression is Compression.NONE and len(stored) == want.size:
            return stored
        if want.compression is Compression.ZLIB:
            with suppress(deflate.DeflateError):  # to no more than that size
                plain = bytes(deflate.zlib_decompress(stored, want.size))
                # libdeflate does not mind what follows a stream; ours ends with the checksum of its bytes.
                if len(plain) == want.size and isal_zlib.adler32(plain).to_bytes(4, "big") == stored[-4:]:
                    return plain
    out = BytesIO()
    decode([stored], want, out)  # says what is wrong, or accepts what libdeflate is too strict about
    return out.getvalue()


def decode_blocks(blocks: Iterable[bytes], want: Want) -> bytes:
    """The plain bytes of an object that comes in blocks, whose size is announced and fits into memory. As `decode`."""
    bound = _most_stored(want.size or 0)
    stored: list[bytes] = []
    for block in blocks:
        stored.append(block)
        bound -= len(block)
        if bound < 0:
            raise ObjectTooLarge(_says(want, f"is longer than anything that holds {want.size} bytes"))
    return decode_whole(stored[0] if len(stored) == 1 else b"".join(stored), want)


def encode(plain: bytes | bytearray | memoryview, compression: Compression, level: int = DEFAULT_LEVEL) -> bytes:
    """The stored form of `plain`, which is held in memory."""
    if compression is Compression.NONE:
        return bytes(plain)
    if len(plain) == 0:
        return EMPTY
    return bytes(deflate.zlib_compress(plain, level))


class Stored(NamedTuple):
    """What `encode_stream` made: the object's name, and its sizes in bytes."""

    id: ObjectId
    plain_size: int
    stored_size: int


def encode_stream(
    plain: BinaryIO,
    out: BinaryIO,
    *,
    compression: Compression = Compression.ZLIB,
    algorithm: Algorithm = Algorithm.SHA1,
    kind: Kind = Kind.FILE,
    level: int = ZLIB_LEVEL,
) -> Stored:
    """Write the stored form of all that `plain` still holds to `out`, in constant memory. `level` is one of zlib's."""
    hasher = algorithm.hasher()
    plain_size = stored_size = 0

    def blocks() -> Iterator[bytes]:
        nonlocal plain_size
        while block := plain.read(BLOCK):
            plain_size += len(block)
            yield block

    for block in blocks() if compression is Compression.NONE else _deflated(blocks(), level):
        hasher.update(block)
        out.write(block)
        stored_size += len(block)
    return Stored(ObjectId(algorithm, hasher.digest(), kind), plain_size, stored_size)


def _deflated(blocks: Iterable[bytes], level: int) -> Iterator[bytes]:
    compressor = zlib.compressobj(level)
    for block in blocks:
        if piece := compressor.compress(block):
            yield piece
    yield compressor.flush()


def _decode_raw(blocks: Iterable[bytes], want: Want, out: BinaryIO) -> None:
    """Stored is plain: hash and count."""
    bound = want.limit if want.size is None else want.size
    hasher, count = want.id.algorithm.hasher(), 0
    for block in blocks:
        count += len(block)
        if count > bound:
            raise ObjectTooLarge(_says(want, f"is longer than the {bound} bytes announced"))
        hasher.update(block)
        out.write(block)
    if want.size is not None and count < want.size:
        raise TruncatedObject(_says(want, f"ended after {count} of {want.size} bytes"))
    if hasher.digest() != want.id.digest:
        raise _mismatch(want)


def _decode_zlib(blocks: Iterable[bytes], want: Want, out: BinaryIO) -> None:
    """Hash and inflate block by block; the verdict is given when both are known.

    The hash decides first: an object whose bytes are not its name's is corrupt, and what its stream looks like only
    says in which way.
    """
    bound = want.limit if want.size is None else want.size
    most = _most_stored(bound)
    hasher, stored = want.id.algorithm.hasher(), 0
    stream = _Inflater(bound, out)
    for block in blocks:
        hasher.update(block)
        stream.feed(block)
        if stream.ran_away and (want.size is None or stream.count > _BOMB_RATIO * stream.taken):
            raise DecompressionBomb(_says(want, f"inflates to more than {stream.count} bytes; allowed are {bound}"))
        stored += len(block)
        if stored > most:
            raise ObjectTooLarge(_says(want, f"is longer than anything that holds {bound} bytes"))
    _judge(want, hasher, stream, stored)


def _judge(want: Want, hasher: Hasher, stream: _Inflater, stored: int) -> None:
    matches = hasher.digest() == want.id.digest
    bound, expected = stream.bound, want.size
    if stream.ended and stream.count > bound:
        error = DecompressionBomb if expected is None else ObjectTooLarge
        raise error(_says(want, f"holds {stream.count} bytes; announced or allowed are {bound}"))
    if stream.ended and stream.trailing:
        raise ObjectTooLarge(_says(want, f"has {stream.trailing} bytes behind the end of its zlib stream"))
    if stream.is_incomplete:
        raise TruncatedObject(_says(want, f"ended after {stored} stored bytes, within its zlib stream"))
    if not matches:
        raise _mismatch(want)
    if stream.ran_away:
        raise ObjectTooLarge(_says(want, f"holds more than the {bound} bytes announced"))
    if stream.failure:
        raise _corrupt(want, f"matches its name but is no zlib stream ({stream.failure})")
    if expected is not None and stream.count < expected:
        raise TruncatedObject(_says(want, f"holds {stream.count} bytes; announced are {expected}"))


class _Inflater:
    """A zlib stream that never raises and never inflates more than `bound` plus one block.

    `count` plain bytes came out of `taken` stored ones; `trailing` stored ones came behind the stream's end.
    isal inflates twice as fast as zlib, and says the same of streams that are not in order.
    """

    __slots__ = ("_inflate", "_out", "bound", "count", "failure", "ran_away", "taken", "trailing")

    def __init__(self, bound: int, out: BinaryIO) -> None:
        self._inflate = isal_zlib.decompressobj()
        self._out = out
        self.bound = bound
        self.count = 0
        self.taken = 0
        self.trailing = 0
        self.failure = ""
        self.ran_away = False

    @property
    def ended(self) -> bool:
        """Whether the stream reached its end, checksum included."""
        return bool(self._inflate.eof)

    @property
    def is_incomplete(self) -> bool:
        """Whether a longer stored form could still have been in order."""
        return not (self.ended or self.failure) and self.count <= self.bound

    def feed(self, block: bytes) -> None:
        """Inflate `block`; after the end, a failure or running away, only count."""
        if self.ended:
            self.trailing += len(block)
            return
        data, more = block, True
        while more and not (self.ended or self.failure or self.ran_away):
            allowed = min(BLOCK, self.bound + BLOCK - self.count)
            produced = self._step(data, allowed)
            self.taken += len(data) - len(self._inflate.unconsumed_tail)
            data = self._inflate.unconsumed_tail
            # A full step may have left plain bytes inside the inflater although it took in all of `data`.
            more = bool(data) or produced == allowed

    def _step(self, data: bytes, allowed: int) -> int:
        try:
            plain = self._inflate.decompress(data, allowed)
        except _StreamError as error:
            self.failure = str(error)
            return 0
        self.count += len(plain)
        self.trailing = len(self._inflate.unused_data)
        if self.count <= self.bound:
            self._out.write(plain)
        self.ran_away = not self.ended and self.count >= self.bound + BLOCK
        return len(plain)


def stored_bound(want: Want) -> int:
    """More stored bytes than any copy of the object has that is in order."""
    return _most_stored(want.limit if want.size is None else want.size)


def _most_stored(plain_size: int) -> int:
    """More stored bytes than any compressor makes of `plain_size`: stored blocks cost 5 bytes in 16 KiB."""
    return plain_size + plain_size // 64 + (64 << 10)


def _says(want: Want, what: str) -> str:
    return f"object {want.id} {what}; the copy is damaged or forged: try another server or clear the proxy's copy"


def _corrupt(want: Want, what: str) -> CorruptObject:
    return _CORRUPT_CLASS.get(want.id.kind, CorruptObject)(_says(want, what))


def _mismatch(want: Want) -> CorruptObject:
    return _corrupt(want, "has bytes that do not match its name")
