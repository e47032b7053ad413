"""Plain bytes to stored bytes by the compressor that the repository's owner chose."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import StrEnum

from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.objects import codec

_PACKED_AGAIN = frozenset((Kind.CERTIFICATE, Kind.METAINFO))
"""Objects that the original's replication unpacks and packs again, with zlib's defaults, under the name they had."""

_HIGHEST_OF_ZLIB = 9


class Compressor(StrEnum):
    """Who makes zlib streams. Every client reads both; only zlib's are, byte for byte, those of the original."""

    LIBDEFLATE = "libdeflate"
    ZLIB = "zlib"

    @property
    def usual_level(self) -> int:
        """The level where nobody chose one."""
        return codec.ZLIB_LEVEL if self is Compressor.ZLIB else codec.DEFAULT_LEVEL


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
        # Nothing has one well-known form, on whose object the original relies (format.md 2): codec's, at every level.
        if self.compressor is Compressor.ZLIB and plain:
            return zlib.compress(plain, self.level)
        return codec.encode(plain, Compression.ZLIB, self.level)

    def pack(self, plain: bytes, kind: Kind) -> bytes:
        """The stored form of a catalog or its like, such that the original's replicas hold the same bytes."""
        return zlib.compress(plain) if kind in _PACKED_AGAIN else self.deflate(plain)

    def named(self, stored: bytes, kind: Kind) -> ObjectId:
        """The name of stored bytes."""
        return ObjectId.of(stored, self.algorithm, kind)

    @property
    def stream_level(self) -> int:
        """The level for what is compressed as it comes, which is zlib's work in any case."""
        if self.compressor is Compressor.LIBDEFLATE and self.level == codec.DEFAULT_LEVEL:
            return codec.ZLIB_LEVEL
        return min(self.level, _HIGHEST_OF_ZLIB)

    @property
    def signature(self) -> str:
        """Equal for encoders that make equal bytes."""
        return f"{self.algorithm.name} {self.compression.name} {self.compressor} {self.level}"
