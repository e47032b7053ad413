"""One catalog gone through from its root directory: every row where it belongs, and every counter right.

Held at a time: a page of rows for each level of directories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from swrepo.catalog.counters import NAMES
from swrepo.catalog.reader import CatalogFile
from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.format.paths import ROOT, join, path_key
from swrepo.format.wellknown import NESTED_MARKER
from swrepo.upkeep.entry_check import entry_faults

_PAGE = 1000
_EMPTY_DIRECTORY_LINKS = 2

Tell = Callable[[bytes, str], object]
"""Takes a path of the repository and what is wrong there."""

HasObject = Callable[[ObjectId], bool]


@dataclass(slots=True)
class _Directory:
    """A directory on the way: how far its rows were read, and what was seen."""

    path: bytes
    entry: Dirent
    after: int = 0
    subdirectories: int = 0
    has_marker: bool = False
    groups: dict[int, list[int]] = field(default_factory=dict)
    """Of each hard link group: how many members, and the link count that they claim."""


@dataclass(slots=True)
class CatalogCheck:
    """The check of one catalog. `has_object` is None where contents are not to be looked for."""

    catalog: CatalogFile
    tell: Tell
    has_object: HasObject | None
    advance: Callable[[int, int], object]
    rows: int = 0

    def run(self) -> None:
        """Go through it."""
        catalog = self.catalog
        top = catalog.lookup(catalog.mountpoint)
        if top is None or not top.is_directory:
            self.tell(catalog.mountpoint, "its catalog has no root directory")
            return
        if top.is_nested_root != (catalog.mountpoint != ROOT):
            self.tell(catalog.mountpoint, "the root directory of its catalog is flagged wrongly")
        mounted = {ref.path: ref.is_bind for ref in catalog.nested()}
        self.rows = 1
        stack = [_Directory(catalog.mountpoint, top)]
        while stack:
            directory = stack[-1]
            page = catalog.keyed_listing(directory.path, directory.after, _PAGE)
            if not page:
                self._left(stack.pop())
                continue
            directory.after = page[-1][0].rowid
            self.rows += len(page)
            for entry, key in page:
                stack.extend(self._entry(directory, entry, key, mounted))
            self.advance(len(page), 0)
        for path in mounted:
            self.tell(path, "a catalog is to be mounted there, but it is no directory of the catalog above")
        self._count()

    def _entry(
        self, directory: _Directory, entry: Dirent, key: tuple[int, int], mounted: dict[bytes, bool]
    ) -> Iterator[_Directory]:
        """Look at one row; the directory to go down to, if it is one."""
        path = join(directory.path, entry.name)
        local = self.catalog.local(path)
        if path_key(local) != key:
            self.tell(path, "its row has the key of another path")
        chunks = self.catalog.chunks(key) if entry.is_chunked else ()
        for fault in entry_faults(entry, chunks):
            self.tell(path, fault)
        if entry.is_directory:
            directory.subdirectories += 1
            if entry.is_nested_mountpoint or entry.is_bind_mountpoint:
                self._mountpoint(path, entry, mounted)
            else:
                yield _Directory(path, entry)
            return
        if entry.name == NESTED_MARKER:
            directory.has_marker = True
        if entry.hardlink_group:
            members = directory.groups.setdefault(entry.hardlink_group, [0, entry.linkcount])
            members[0] += 1
        if self.has_object is not None and not entry.is_external:
            self._contents(path, entry, chunks)

    def _mountpoint(self, path: bytes, entry: Dirent, mounted: dict[bytes, bool]) -> None:
        is_bind = mounted.pop(path, None)
        if is_bind is None:
            self.tell(path, "it is flagged as a mountpoint, but no catalog is registered for it")
        elif is_bind != entry.is_bind_mountpoint:
            self.tell(path, "it is flagged as another kind of mountpoint than it is registered as")
        if self.catalog.size(path, 1):
            self.tell(path, "it is a mountpoint, and entries below it are in the catalog above")

    def _contents(self, path: bytes, entry: Dirent, chunks: tuple[Chunk, ...]) -> None:
        assert self.has_object is not None  # noqa: S101 - asked before
        if entry.digest is not None and len(entry.digest) == 20:
            name = ObjectId(_algorithm(entry), entry.digest, Kind.FILE)
            if not self.has_object(name):
                self.tell(path, f"its object {name} is missing")
        for chunk in chunks:
            name = ObjectId(_algorithm(entry), chunk.digest, Kind.PARTIAL)
            if not self.has_object(name):
                self.tell(path, f"its chunk {name} (at {chunk.offset}, {chunk.size} bytes) is missing")

    def _left(self, directory: _Directory) -> None:
        path, links = directory.path, directory.subdirectories + _EMPTY_DIRECTORY_LINKS
        if directory.entry.linkcount != links:
            self.tell(path, f"its link count is {directory.entry.linkcount}, with {links - 2} directories in it")
        is_nested_root = path == self.catalog.mountpoint and path != ROOT
        if is_nested_root and not directory.has_marker:
            self.tell(path, "it starts a catalog and has no .cvmfscatalog")
        if directory.has_marker and not is_nested_root:
            self.tell(join(path, NESTED_MARKER), "it marks a directory that starts no catalog")
        for group, (count, claimed) in directory.groups.items():
            if count != claimed:
                self.tell(path, f"the hard link group {group} has {count} members, and link count {claimed}")

    def _count(self) -> None:
        """Compare with what SQL counts, and that with what the catalog says."""
        mountpoint, own = self.catalog.mountpoint, self.catalog.recount()
        if own is None:
            return
        if own.entries != self.rows:
            self.tell(mountpoint, f"{own.entries - self.rows} rows of its catalog are in no directory")
        stored = self.catalog.counters().own
        for name in NAMES:
            if getattr(own, name) != getattr(stored, name):
                self.tell(
                    mountpoint, f"its counter self_{name} is {getattr(stored, name)}, there are {getattr(own, name)}"
                )


def _algorithm(entry: Dirent) -> Algorithm:
    number = (entry.flags >> 8 & 7) + 1
    return Algorithm(number) if number in set(Algorithm) else Algorithm.SHA1
