"""Makes the markers of grafted files: `.cvmfsgraft-NAME` beside an empty file NAME, from files that are elsewhere."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from swrepo.errors import UsageError
from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk
from swrepo.format.graft import Graft
from swrepo.format.object_id import Algorithm
from swrepo.format.wellknown import GRAFT_PREFIX
from swrepo.system.atomic import write_atomically

CHUNK = 24 << 20
"""Bytes of a chunk, as the original makes them."""

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Grafter:
    """How contents are named. `chunk`: bytes, 0 for whole files; `whole`: name those in chunks as wholes too.

    `tell` is called with the number of bytes that were read. Compressed, contents are named as zlib packs them.
    """

    algorithm: Algorithm = Algorithm.SHA1
    compression: Compression = Compression.NONE
    chunk: int = CHUNK
    whole: bool = False
    tell: Callable[[int], object] = field(default=lambda _: None)

    def graft(self, file: BinaryIO) -> Graft:
        """What a marker says of the content of an open file, read to its end."""
        whole = _Naming(self)
        chunk, chunks = _Naming(self), list[Chunk]()
        begun = offset = 0
        while block := file.read(min(_BLOCK, self.chunk - (offset - begun)) if self.chunk else _BLOCK):
            self.tell(len(block))
            offset += len(block)
            if self.whole or not self.chunk:
                whole.add(block)
            if self.chunk:
                chunk.add(block)
            if self.chunk and offset - begun >= self.chunk:
                chunks.append(Chunk(begun, offset - begun, chunk.finish()))
                chunk, begun = _Naming(self), offset
        if self.chunk and (offset > begun or not chunks):
            chunks.append(Chunk(begun, offset - begun, chunk.finish()))
        if len(chunks) == 1:
            return Graft(offset, self.algorithm, chunks[0].digest, self.compression)
        digest = whole.finish() if self.whole or not self.chunk else None
        return Graft(offset, self.algorithm, digest, self.compression, tuple(chunks))

    def graft_file(self, source: Path, target: Path) -> Graft:
        """Make the marker of `target`, and `target` as an empty file with the mode and time of `source`."""
        with source.open("rb") as file:
            status = os.fstat(file.fileno())
            made = self.graft(file)
        put(made, target, status)
        return made


class _Naming:
    """The digest of what is added, as it would be stored."""

    def __init__(self, grafter: Grafter) -> None:
        self._stream = zlib.compressobj() if grafter.compression is Compression.ZLIB else None
        self._hasher = grafter.algorithm.hasher()

    def add(self, block: bytes) -> None:
        self._hasher.update(block if self._stream is None else self._stream.compress(block))

    def finish(self) -> bytes:
        if self._stream is not None:
            self._hasher.update(self._stream.flush())
        return self._hasher.digest()


def put(made: Graft, target: Path, status: os.stat_result | None = None) -> Path:
    """Write the marker of `target`, and `target` empty, with mode and time of `status`. Returns the marker's path."""
    marker = target.with_name(os.fsdecode(GRAFT_PREFIX) + target.name)
    write_atomically(marker, made.encode())
    target.unlink(missing_ok=True)  # it may be a link to what is to be kept
    with target.open("xb"):
        pass
    if status is not None:
        target.chmod(stat.S_IMODE(status.st_mode))
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
    return marker


def pairs(source: Path, target: Path | None) -> Iterator[tuple[Path, Path | None]]:
    """Files to be named, each with where its marker goes; directories of `target` are made on the way."""
    if not source.is_dir():
        inside = target is not None and target.is_dir()
        yield source, target / source.name if inside and target is not None else target
        return
    if target is not None and target.exists() and not target.is_dir():
        raise UsageError(f"{source} is a directory, and {target} is none")
    for directory, names, files in os.walk(source):
        names.sort()
        where = None if target is None else target / Path(directory).relative_to(source)
        if where is not None:
            where.mkdir(parents=True, exist_ok=True)
        for name in sorted(files):
            found = Path(directory, name)
            if found.is_symlink():
                if where is not None and not os.path.lexists(where / name):
                    (where / name).symlink_to(os.readlink(found))
            elif found.is_file():
                yield found, None if where is None else where / name
