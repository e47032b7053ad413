"""A new revision under a live mount: which numbers stay, which entries freeze, and what the kernel has to be told.

Only what the kernel knows is compared: from the root down the directories that it has been told about, and of these
only the ones whose catalog changed. `prepare` does the slow part (it may fetch catalogs) while the mount goes on;
`apply` does the rest with the lock of the Vfs held.
"""

from __future__ import annotations

from typing import NamedTuple

from swrepo.catalog.reader import CatalogFile
from swrepo.format.dirent import Dirent
from swrepo.format.paths import ROOT
from swrepo.repository.revision import Revision
from swrepo.vfs.journal import Stale
from swrepo.vfs.nodes import Frozen, Span
from swrepo.vfs.tree import ROOT_NODE, Vfs
from swrepo.vfs.volume import Volume


class _Directory(NamedTuple):
    """One directory in both revisions: entries that are the same in both, that are gone or changed, and new names."""

    old: CatalogFile
    new: CatalogFile
    kept: list[tuple[Dirent, Dirent]]
    gone: list[Dirent]
    added: list[bytes]


class Succession:
    """One change from the revision of `volume` to `revision`."""

    def __init__(self, vfs: Vfs, volume: Volume, revision: Revision) -> None:
        self._vfs = vfs
        self._volume = volume
        self._old = volume.revision
        self._new = revision
        self._directories: dict[bytes, _Directory] = {}
        self._stale = Stale()
        self._spans: dict[bytes, Span] = {}
        self._carried: set[bytes] = set()
        self._adopted: dict[int, tuple[Span, int]] = {}

    def prepare(self) -> None:
        """Compare the directories that the kernel knows. Fetches catalogs; raises what that raises."""
        while missing := self._missing():
            for path in missing:
                self._compare(path)
        for place in self._volume.spans():
            if place and place not in self._directories and self._is_same(place):
                self._new.tree.find(place)

    def apply(self) -> Stale | None:
        """Show the new revision; with the lock held. None when `prepare` has to run again: the kernel learned more."""
        if self._missing():
            return None
        before, after = _root(self._old), _root(self._new)
        root = self._volume.number(self._old.tree.root, before)
        pending = [(ROOT, root)]
        self._adopt(root, self._new.tree.root, after)
        if _looks_different(before, after):
            self._stale.nodes.append(root)
        while pending:
            path, number = pending.pop()
            pending += self._succeed(path, number, self._directories[path])
        self._carry_other_catalogs()
        self._retire()
        self._volume.exchange(self._new, self._spans)
        self._vfs.drop_recent()
        self._vfs.record(self._stale)
        return self._stale

    # Comparing

    def _missing(self) -> list[bytes]:
        """Directories that the kernel knows and that are still to be compared; none below one that is missing."""
        pending, missing = [ROOT], []
        while pending:
            path = pending.pop()
            directory = self._directories.get(path)
            if directory is None:
                missing.append(path)
                continue
            with self._vfs.lock:
                known = [old.name for old, _ in directory.kept if old.flags & 1 and self._is_known(directory.old, old)]
            pending += [place for name in known if not self._is_same(place := path + b"/" + name)]
        return missing

    def _compare(self, path: bytes) -> _Directory:
        found = self._directories.get(path)
        if found is None:
            old, new = self._old.tree.find(path), self._new.tree.find(path)
            before = {entry.name: entry for entry in old.listing(path)}
            after = {entry.name: entry for entry in new.listing(path)}
            kept, gone = [], []
            for name, entry in before.items():
                successor = after.pop(name, None)
                if successor is not None and _continues(old, new, path, entry, successor):
                    kept.append((entry, successor))
                else:
                    gone.append(entry)
            found = self._directories[path] = _Directory(old, new, kept, gone, list(after))
        return found

    def _is_same(self, place: bytes) -> bool:
        """Whether below this directory everything is as before: the same nested catalog is mounted there."""
        before = self._old.tree.mounted(place)
        return before is not None and before == self._new.tree.mounted(place)

    def _is_known(self, catalog: CatalogFile, entry: Dirent) -> bool:
        number = self._volume.number(catalog, entry)
        return self._vfs.nodes.is_known(number)

    # Handing on

    def _succeed(self, path: bytes, number: int, directory: _Directory) -> list[tuple[bytes, int]]:
        """Hand on the numbers of a directory's entries; the known directories in it."""
        below: list[tuple[bytes, int]] = []
        for old, new in directory.kept:
            if not self._is_known(directory.old, old):
                continue
            known = self._volume.number(directory.old, old)
            self._adopt(known, directory.new, new)
            if not old.flags & 1:
                continue
            if _looks_different(old, new):
                self._stale.nodes.append(known)
            place = path + b"/" + old.name
            if self._is_same(place):
                self._carry(place)
            else:
                below.append((place, known))
        if directory.gone or directory.added:
            self._stale.nodes.append(number)
            # Each costs the kernel a wait for whoever is reading the directory. It may remember that a new name was
            # not there; an old one only where it knows its number.
            known_names = [old.name for old in directory.gone if self._is_known(directory.old, old)]
            self._stale.entries += [(number, name) for name in known_names + directory.added]
        return below

    def _adopt(self, number: int, catalog: CatalogFile, entry: Dirent) -> None:
        span = self._new_span(catalog)
        row = entry.rowid
        if entry.hardlinks >> 32 and not entry.flags & 1:
            row = catalog.hardlink_leader(entry.hardlink_group) or row
        self._adopted[number] = (span, row)

    def _new_span(self, catalog: CatalogFile) -> Span:
        span = self._spans.get(catalog.mountpoint)
        if span is None:
            span = self._vfs.nodes.allocate(catalog.max_rowid + 1, self._volume, catalog)
            self._spans[catalog.mountpoint] = span
        return span

    def _carry(self, mountpoint: bytes) -> None:
        """The same catalogs at and below a mountpoint: their numbers stay as they are."""
        for place, span in self._volume.spans().items():
            if place == mountpoint or place.startswith(mountpoint + b"/"):
                span.catalog = self._new.tree.find(place)
                self._spans[place] = span
                self._carried.add(place)

    def _carry_other_catalogs(self) -> None:
        """Catalogs that are the same, below directories that the kernel has forgotten meanwhile."""
        for place in self._volume.spans():
            if place and place not in self._spans and self._is_same(place):
                self._carry(place)

    def _retire(self) -> None:
        """Old catalogs make room: what the kernel knows of them has a successor, or freezes."""
        retired = [span for place, span in self._volume.spans().items() if place not in self._carried]
        for span in retired:
            known = [(span.base + row, row) for row in self._vfs.nodes.rows_known(span)]
            known += [(number, row) for row, number in span.alias.items()]
            for number, row in known:
                if row in span.alias and span.alias[row] != number:
                    continue
                if number not in self._adopted:
                    self._freeze(number, span, row)
        for number, (successor, row) in self._adopted.items():
            home, at = self._home(number)
            home.moved[at] = (successor, row)
            home.frozen.pop(at, None)
            successor.alias[row] = number
        for span in retired:
            span.catalog = None
            span.alias = {}
            self._vfs.nodes.release(span)

    def _freeze(self, number: int, span: Span, row: int) -> None:
        assert span.catalog is not None  # noqa: S101 - spans of the current revision have one
        home, at = self._home(number)
        home.moved.pop(at, None)
        found = span.catalog.by_rowid(row)
        if found is not None:
            entry, key, _ = found
            home.frozen[at] = Frozen(entry, span.catalog.chunks(key) if entry.is_chunked else ())

    def _home(self, number: int) -> tuple[Span, int]:
        if number == ROOT_NODE:
            return self._vfs.fixed, 0
        home = self._vfs.nodes.span(number)
        assert home is not None  # noqa: S101 - a known number has a span
        return home, number - home.base


def _continues(old: CatalogFile, new: CatalogFile, path: bytes, before: Dirent, after: Dirent) -> bool:
    """Whether an entry keeps its number: a directory that still is one, or anything that did not change at all."""
    if before.flags & 1 and after.flags & 1:
        return True
    if before[:-1] != after[:-1]:
        return False
    place = path + b"/" + before.name
    return not before.is_chunked or old.chunks(place) == new.chunks(place)


def _looks_different(before: Dirent, after: Dirent) -> bool:
    """Whether the kernel's attributes of a directory are no longer right: mode to hard links; it keeps no others."""
    return before[1:9] != after[1:9]


def _root(revision: Revision) -> Dirent:
    root = revision.tree.root.lookup(ROOT)
    assert root is not None  # noqa: S101 - checked when the revision was mounted
    return root
