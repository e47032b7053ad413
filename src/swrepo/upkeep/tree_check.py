"""All catalogs of a revision: each one sound, mounted where it says, and counted rightly by those above it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from swrepo.catalog.counters import NAMES, Counters, Statistics
from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.errors import NotFound, SwrepoError
from swrepo.format.dirent import Dirent
from swrepo.format.paths import ROOT, is_within
from swrepo.objects.store import LocalObjects, Want
from swrepo.upkeep.catalog_check import CatalogCheck, HasObject, Tell


@dataclass(slots=True)
class _Frame:
    """A catalog whose nested ones are being checked: what it says of them, and what they turned out to hold."""

    mountpoint: bytes
    stored: Statistics
    waiting: list[tuple[NestedRef, Dirent | None]]
    below: Counters = field(default_factory=Counters)
    is_whole: bool = True


@dataclass(slots=True)
class TreeCheck:
    """The check of one tree of catalogs."""

    objects: LocalObjects
    tell: Tell
    has_object: HasObject | None
    advance: Callable[[int, int], object]
    catalogs: int = 0
    entries: int = 0

    def find(self, root: NestedRef, path: bytes) -> NestedRef:
        """The catalog mounted at `path`; NotFound."""
        ref = root
        while ref.path != path:
            catalog = self._open(ref)
            try:
                nearer = [one for one in catalog.nested() if is_within(path, one.path) and not one.is_bind]
            finally:
                catalog.close()
            if not nearer:
                shown = path.decode("utf-8", "backslashreplace")
                raise NotFound(f"no catalog begins at {shown or '/'}; 'list-catalogs' shows where they do")
            ref = nearer[0]
        return ref

    def run(self, root: NestedRef) -> None:
        """Check the catalog and all below it; those of snapshots are only looked for."""
        frames: list[_Frame] = []
        self._enter(root, None, frames)
        while frames:
            frame = frames[-1]
            if frame.waiting:
                ref, mountpoint = frame.waiting.pop()
                if ref.is_bind:
                    self._snapshot(ref)
                elif not self._enter(ref, mountpoint, frames):
                    frame.is_whole = False
                continue
            frames.pop()
            self._compare(frame)
            if frames:
                frames[-1].below += frame.stored.total
                frames[-1].is_whole &= frame.is_whole

    def _enter(self, ref: NestedRef, mountpoint: Dirent | None, frames: list[_Frame]) -> bool:
        """Check one catalog; whether it could be read."""
        try:
            catalog = self._open(ref)
        except SwrepoError as error:
            self.tell(ref.path, f"its catalog cannot be used: {error}")
            return False
        try:
            if catalog.root_prefix != ref.path:
                self.tell(ref.path, f"its catalog is that of {catalog.root_prefix!r}")
            check = CatalogCheck(catalog, self.tell, self.has_object, self.advance)
            check.run()
            self.catalogs += 1
            self.entries += check.rows
            self._compare_roots(ref.path, mountpoint, catalog.lookup(ref.path))
            nested = [(inner, catalog.lookup(inner.path)) for inner in catalog.nested()]
            frames.append(_Frame(ref.path, catalog.counters(), nested))
        except SwrepoError as error:
            self.tell(ref.path, f"its catalog cannot be read: {error}")
            return False
        finally:
            catalog.close()
        return True

    def _open(self, ref: NestedRef) -> CatalogFile:
        descriptor = self.objects.open(Want(ref.id, size=ref.size))
        try:
            return CatalogFile.open(descriptor, ref.path)
        finally:
            os.close(descriptor)

    def _snapshot(self, ref: NestedRef) -> None:
        if self.has_object is not None and not self.has_object(ref.id):
            self.tell(ref.path, f"the catalog {ref.id} of the snapshot is missing")

    def _compare_roots(self, path: bytes, above: Dirent | None, below: Dirent | None) -> None:
        if above is None or below is None or path == ROOT:
            return
        differ = [
            name
            for name, first, second in zip(Dirent._fields, above, below, strict=True)
            if first != second and name not in ("flags", "rowid")
        ]
        if differ:
            self.tell(path, f"the two catalogs that have this directory differ in its {', '.join(differ)}")

    def _compare(self, frame: _Frame) -> None:
        """The counters of what is below; where a catalog there could not be read, they cannot be known."""
        for name in NAMES if frame.is_whole else ():
            stored, found = getattr(frame.stored.subtree, name), getattr(frame.below, name)
            if stored != found:
                self.tell(frame.mountpoint, f"its counter subtree_{name} is {stored}, there are {found}")
