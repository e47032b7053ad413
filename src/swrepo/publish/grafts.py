"""Files that are published by what a marker beside them says of their content, which is not read.

A marker `.cvmfsgraft-NAME` is not published itself. Mode, owner and times are those of the file NAME, most often an
empty one.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from swrepo.errors import FormatError
from swrepo.format import graft
from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk, Dirent, Flag, content_flags
from swrepo.format.graft import Graft
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import basename, join, parent
from swrepo.format.wellknown import GRAFT_PREFIX
from swrepo.publish.faults import Faults

LARGEST_MARKER = 64 << 20

NO_GRAFTS: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class Grafts:
    """The grafted files of the tree `source`. `chunks` are those that the last revision has for a path.

    `external`, `compression`: how contents are stored where a marker does not say it. `has`: whether the store has an
    object.
    """

    source: bytes
    chunks: Callable[[bytes], Sequence[Chunk]]
    faults: Faults
    external: bool = False
    compression: Compression = Compression.ZLIB
    has: Callable[[ObjectId], bool] = lambda _: True
    absent: list[bytes] = field(default_factory=list)
    """Files that changed, and whose contents are expected in the store and not there."""

    def complete(self, path: bytes, entry: Dirent) -> tuple[Dirent, tuple[Chunk, ...]] | None:
        """The entry of a grafted file with its content; None after noting a fault."""
        marker = join(parent(path), GRAFT_PREFIX + basename(path))
        try:
            with open(self.source + marker, "rb") as file:
                found = graft.parse(file.read(LARGEST_MARKER))
        except FormatError as error:
            self.faults.add(marker, str(error))
            return None
        except OSError as error:
            self.faults.add_os(marker, error)
            return None
        return self.applied(entry, found)

    def applied(self, entry: Dirent, found: Graft) -> tuple[Dirent, tuple[Chunk, ...]]:
        """The entry of a file with the content that a marker tells of."""
        return entry._replace(size=found.size, digest=found.digest, flags=self._flags(found)), found.chunks

    @property
    def remark(self) -> str:
        """What its owner should know of what is not in the store; empty where there is nothing."""
        if not self.absent:
            return ""
        first = self.absent[0].decode("utf-8", "backslashreplace")
        return (
            f"{len(self.absent):,} grafted files have contents that are not in the store, as {first}: nobody can "
            "read them before they are there"
        )

    def note_absent(self, path: bytes, found: Dirent, chunks: Sequence[Chunk]) -> None:
        """Remember a file that will be published, where its content is not in the store."""
        if found.is_external:
            return
        names = [found.chunk_id(chunk) for chunk in chunks] if chunks else [found.content]
        if any(name is not None and not self.has(name) for name in names):
            self.absent.append(path)

    def check(self, path: bytes, grafted: Collection[bytes], files: Collection[bytes]) -> None:
        """A marker of the directory at `path` without its file becomes a fault."""
        for name in sorted(set(grafted).difference(files)):
            self.faults.add(
                join(path, GRAFT_PREFIX + name),
                f"there is no file {name.decode('utf-8', 'backslashreplace')} beside it, whose owner and mode would "
                "hold; make an empty one",
            )

    def _flags(self, found: Graft) -> int:
        usual = Compression.NONE if self.external else self.compression
        compression = usual if found.compression is None else found.compression
        flags = int(Flag.FILE) | content_flags(found.algorithm, compression)
        return flags | (int(Flag.EXTERNAL) if self.external else 0) | (int(Flag.CHUNKED) if found.chunks else 0)


def is_marker(name: bytes, mode: int) -> bool:
    """Whether a name in a directory, with its st_mode, says something of another one."""
    return bool(grafted_name(name)) and stat.S_ISREG(mode)


def grafted_name(name: bytes) -> bytes:
    """The file that a marker with this name is about; empty where it can be none."""
    return name[len(GRAFT_PREFIX) :] if name.startswith(GRAFT_PREFIX) else b""
