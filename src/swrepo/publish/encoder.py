"""Plain bytes to stored bytes by the compressor that the repository's owner chose."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import StrEnum

from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.objects import codec


class Compressor(StrEnum):
    """Who makes zlib streams. Every client reads both; only zlib's are, byte for byte, those of the original."""

    LIBDEFLATE = "libdeflate"
    ZLIB = "zlib"


@dataclass(frozen=True, slots=True)
class Encoder:
    """How objects are stored and named. Safe from any thread; releases the interpreter lock while it works."""

    algorithm: Algorithm = Algorithm.SHA1
    compression: Compression = Compression.ZLIB
    compressor: Compressor = Compressor.LIBDEFLATE
    level: int = codec.DEFAULT_LEVEL

    def encode(self, plain: bytes) -> bytes:
        """The stored form of a file or chunk."""
        return plain if self.compression is Compression.NONE else self.deflate(plain)

    def deflate(self, plain: bytes) -> bytes:
        """The zlib form, which catalogs and their like have in every repository."""
        # Nothing has one well-known form, on whose object the original relies (format.md 2).
        if self.compressor is Compressor.ZLIB or not plain:
            return zlib.compress(plain, self.level)
        return codec.encode(plain, Compression.ZLIB, self.level)

    def named(self, stored: bytes, kind: Kind) -> ObjectId:
        """The name of stored bytes."""
        return ObjectId.of(stored, self.algorithm, kind)

    @property
    def signature(self) -> str:
        """Equal for encoders that make equal bytes."""
        return f"{self.algorithm.name} {self.compression.name} {self.compressor} {self.level}"
