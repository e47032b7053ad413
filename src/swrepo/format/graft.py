"""`.cvmfsgraft-NAME`: what a publisher says of the file NAME beside it instead of its content. Source: format.md 6.

    size=50331648
    checksum=0000000000000000000000000000000000000000
    compression=none
    chunk_offsets=0,25165824
    chunk_checksums=5188431849b4613152fd7bdba6a3ff0a4fd6424b,d2cad97a5c1a6c9fc4b0a3c0f4bd8d4e2b17d6a1

A checksum of zeros says that there is no object of the whole file, which only a file in chunks can do without.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from swrepo.errors import FormatError
from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk
from swrepo.format.object_id import Algorithm, Kind, ObjectId

_KEYS = ("size", "checksum", "compression", "chunk_offsets", "chunk_checksums")
_COMPRESSIONS = {"default": Compression.ZLIB, "zlib": Compression.ZLIB, "none": Compression.NONE}
_LARGEST = (1 << 63) - 1
_NO_DIGEST = bytes(20)


@dataclass(frozen=True, slots=True)
class Graft:
    """`digest` is None where there are only chunks; `compression` where the repository's holds."""

    size: int
    algorithm: Algorithm
    digest: bytes | None
    compression: Compression | None = None
    chunks: tuple[Chunk, ...] = ()

    @property
    def objects(self) -> list[ObjectId]:
        """The names of what readers will ask for."""
        if self.chunks:
            return [ObjectId(self.algorithm, chunk.digest, Kind.PARTIAL) for chunk in self.chunks]
        return [] if self.digest is None else [ObjectId(self.algorithm, self.digest)]

    def encode(self) -> bytes:
        """The text of the file."""
        lines = [f"size={self.size}", f"checksum={self._text(self.digest or _NO_DIGEST)}"]
        if self.compression is not None:
            lines.append(f"compression={self.compression.name.lower()}")
        if self.chunks:
            lines.append("chunk_offsets=" + ",".join(str(chunk.offset) for chunk in self.chunks))
            lines.append("chunk_checksums=" + ",".join(self._text(chunk.digest) for chunk in self.chunks))
        return "".join(f"{line}\n" for line in lines).encode()

    def _text(self, digest: bytes) -> str:
        return ObjectId(self.algorithm, digest).text


def parse(data: bytes) -> Graft:
    """Read such a file; FormatError says what is wrong with it."""
    found = dict(_lines(data))
    for key in ("size", "checksum"):
        if key not in found:
            raise FormatError(f"has no line {key}=")
    size, whole = _number("size", found["size"]), _object("checksum", found["checksum"])
    chunks = _chunks(found, size, whole.algorithm)
    digest = None if chunks and whole.digest == _NO_DIGEST else whole.digest
    compression = found.get("compression")
    if compression is not None and compression not in _COMPRESSIONS:
        raise FormatError(f"says compression={compression[:40]}, which is neither zlib nor none")
    if digest == _NO_DIGEST:
        raise FormatError("has a checksum of zeros, and no chunks")
    # The format knows no file of exactly one chunk: that is a plain object. Source: format.md 6, "chunks".
    if len(chunks) == 1:
        digest, chunks = (chunks[0].digest if digest is None else digest), ()
    return Graft(size, whole.algorithm, digest, None if compression is None else _COMPRESSIONS[compression], chunks)


def _lines(data: bytes) -> Iterator[tuple[str, str]]:
    """Keys and values. Others than those that are known are passed over, as the original does."""
    seen = set()
    for line in data.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        key, separator, value = (part.strip() for part in text.partition("="))
        if not separator:
            raise FormatError(f"has a line without '=': {text[:80]!r}")
        if key in seen and key in _KEYS:
            raise FormatError(f"has two lines {key}=")
        seen.add(key)
        yield key, value


def _chunks(found: dict[str, str], size: int, algorithm: Algorithm) -> tuple[Chunk, ...]:
    offsets = [_number("chunk_offsets", text) for text in _list(found, "chunk_offsets")]
    names = [_object("chunk_checksums", text) for text in _list(found, "chunk_checksums")]
    if len(offsets) != len(names):
        raise FormatError(f"has {len(offsets)} chunk_offsets and {len(names)} chunk_checksums")
    if not offsets:
        return ()
    if offsets[0] != 0:
        raise FormatError("has a first chunk that does not begin at 0")
    if any(first >= second for first, second in pairwise(offsets)):
        raise FormatError("has chunk_offsets that do not grow")
    if offsets[-1] >= size:
        raise FormatError(f"has a chunk that begins at {offsets[-1]}, and a size of {size}")
    if any(name.algorithm is not algorithm for name in names):
        raise FormatError("has checksums of several kinds")
    ends = [*offsets[1:], size]
    return tuple(
        Chunk(offset, end - offset, name.digest) for offset, end, name in zip(offsets, ends, names, strict=True)
    )


def _list(found: dict[str, str], key: str) -> list[str]:
    return [part.strip() for part in found[key].split(",")] if found.get(key) else []


def _number(key: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _LARGEST):
        raise FormatError(f"says {key}={text[:40]}, which is no number of bytes")
    return int(text)


def _object(key: str, text: str) -> ObjectId:
    try:
        return ObjectId.parse(text.removesuffix(Kind.PARTIAL))
    except FormatError as error:
        raise FormatError(f"says {key}={text[:60]}, which is no hash") from error
