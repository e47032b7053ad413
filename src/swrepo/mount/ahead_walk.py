"""The order in which programs walk a repository: files of a directory, what is below it, then what comes after it."""

from __future__ import annotations

from collections import deque

from swrepo.errors import SwrepoError
from swrepo.format.dirent import Dirent
from swrepo.format.paths import parent
from swrepo.format.wellknown import HOME
from swrepo.mount.ahead import LARGEST, Nearby, Walk
from swrepo.objects.store import BringsAhead, Want
from swrepo.vfs.tree import Vfs
from swrepo.vfs.volume import Volume

_ROWS = 256
"""Rows that one step looks at, so that it takes a millisecond or two."""


class TreeWalk:
    """A `Walk` through the current revision of a volume. For one thread at a time (the lock of `Vfs`).

    It waits at catalogs that nobody has needed yet, and ends when another revision is shown.
    """

    def __init__(self, vfs: Vfs, volume: Volume, directory: bytes, row: int) -> None:
        """Behind the entry of `directory` that has this row."""
        self._note = vfs.note
        self._volume = volume
        self._epoch = volume.epoch
        self._levels = [_Level(directory, row)]

    def take(self, count: int) -> list[Nearby]:
        """See Walk."""
        found: list[Nearby] = []
        if self._volume.epoch != self._epoch:
            self._levels.clear()
        rows = _ROWS
        while self._levels and rows > 0 and len(found) < count:
            level = self._levels[-1]
            if level.is_read:
                self._leave(level)
                rows -= 1
            else:
                looked_at = self._read(level, count - len(found), found)
                if looked_at is None:
                    break
                rows -= looked_at
        return found

    def _read(self, level: _Level, count: int, found: list[Nearby]) -> int | None:
        """Look at a few entries of a directory, and say at how many; None where its catalog is not loaded."""
        volume = self._volume
        objects = volume.revision.objects
        catalog = volume.revision.tree.find_loaded(level.path)
        if catalog is None or not isinstance(objects, BringsAhead):
            return None
        entries = catalog.listing(level.path, level.row, count)
        for entry in entries:
            level.row = entry.rowid
            if entry.is_directory:
                if entry.name == HOME:  # what is in there is fetched when it is needed
                    continue
                level.below.append(level.path + b"/" + entry.name)
            elif is_worth_it(entry) and entry.content is not None:
                want = Want(entry.content, entry.compression, entry.size)
                number = volume.number(catalog, entry)
                self._note(number, entry)
                found.append(Nearby(number, want, objects))
        level.is_read = len(entries) < count
        return len(entries) + 1

    def _leave(self, level: _Level) -> None:
        """Go on below a directory that was read, or, when that is done, behind it."""
        if level.below:
            self._levels.append(_Level(level.below.popleft(), 0))
            return
        self._levels.pop()
        if not self._levels and level.path:
            above = parent(level.path)
            catalog = self._volume.revision.tree.find_loaded(above)
            entry = None if catalog is None else catalog.lookup(level.path)
            if entry is not None:
                self._levels.append(_Level(above, entry.rowid))


def walk_from(vfs: Vfs, number: int) -> Walk | None:
    """The walk behind a file; None where it is not in the revision that is shown. With the lock of `vfs` held."""
    try:
        where = vfs.whereabouts(number)
    except SwrepoError:
        return None
    return None if where is None else TreeWalk(vfs, *where)


def is_worth_it(entry: Dirent) -> bool:
    """Whether a file can be fetched ahead: it has one object, of no great size."""
    return entry.is_regular and not (entry.is_external or entry.is_chunked) and 0 < entry.size <= LARGEST


class _Level:
    """A directory of which entries up to `row` were looked at; `below` are directories among them."""

    __slots__ = ("below", "is_read", "path", "row")

    def __init__(self, path: bytes, row: int) -> None:
        self.path = path
        self.row = row
        self.below: deque[bytes] = deque()
        self.is_read = False
