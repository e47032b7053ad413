"""Directories in which something is looked up, read whole in idle moments: the next look-up finds its answer ready.

A program that starts looks for many names in a few directories, and works for a while after each: long enough to read
the rows of all the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from swrepo.errors import SwrepoError
from swrepo.format.dirent import Dirent
from swrepo.repository.status import Status, status
from swrepo.vfs.entries import Entries, volume_of
from swrepo.vfs.listings import ROOT_NODE, entries_after
from swrepo.vfs.nodes import Frozen, NodeTable
from swrepo.vfs.volume import Volume

NAME_MAX = 255
"""Bytes of the longest name, as everywhere on Linux; the kernel lets FUSE have longer ones."""

_PIECE = 16
"""Rows that are read at a time: who asks meanwhile waits for a tenth of a millisecond."""

_LARGEST = 1024
"""Rows of one directory; what lies behind them in a larger one is asked for as ever."""

_MOST = 8192
"""Rows and directories that are kept, less than a kilobyte each; the directories that were read first go."""

_UNREAD = 64
"""Directories that are to be read, the newest first. Where there is never time for it, nothing more piles up."""


class Answer(NamedTuple):
    """What a look-up finds; `entry` is None, and `packed` empty, where there is no such name."""

    number: int
    packed: bytes
    entry: Dirent | None


_NOTHING = Answer(0, b"", None)


class Foreseen:
    """For one thread at a time (the lock of `Vfs`). `pack` makes the bytes of an answer."""

    def __init__(self, entries: Entries, nodes: NodeTable) -> None:
        self._entries = entries
        self._nodes = nodes
        self.pack: Callable[[int, Status], bytes] = lambda _number, _status: b""
        self._known: dict[int, _Directory] = {}
        self._rows = 0
        self._unread: dict[int, _Directory] = {}
        self._as_of = 0

    def answer(self, parent: int, name: bytes) -> Answer | None:
        """What is at a name, if that is known. To be called for each look-up: it is what is learned from."""
        if self._as_of != self._entries.changes + self._nodes.returned:
            self.clear()
        known = self._known.get(parent)
        if known is None:
            self._begin(parent)
            return None
        found = known.answers.get(name)
        if found is None:
            if not known.is_whole or len(name) > NAME_MAX:
                return None
            found = _NOTHING
        known.volume.is_used = True
        entry = found.entry
        if entry is not None:
            if entry.flags & 1:
                known.volume.note_path(known.base + entry.rowid, known.path + b"/" + name)
            else:
                self._entries.note(found.number, entry)
        return found

    @property
    def is_reading(self) -> bool:
        """Whether there is something for `read_on` to do."""
        return bool(self._unread)

    def read_on(self) -> None:
        """Read some more rows of the directory that was asked about last."""
        if self._as_of != self._entries.changes + self._nodes.returned:
            self.clear()
        if not self._unread:
            return
        parent, known = self._unread.popitem()
        try:
            rows = entries_after(known.volume, known.path, known.row, _PIECE)
        except SwrepoError:  # whoever asks gets to know
            rows = None
        if rows is None:
            return
        variables, before = known.volume.variables, len(known.answers)
        for number, entry in rows:
            known.answers[entry.name] = Answer(number, self.pack(number, status(entry, variables)), entry)
        self._rows += len(known.answers) - before
        known.is_whole = len(rows) < _PIECE
        if not known.is_whole and len(known.answers) < _LARGEST:
            known.row = rows[-1].entry.rowid
            self._unread[parent] = known
        while self._rows > _MOST and len(self._known) > 1:
            self._drop(next(iter(self._known)))

    def clear(self) -> None:
        """Forget all: entries may have other numbers, or be gone."""
        self._known.clear()
        self._unread.clear()
        self._rows = 0
        self._as_of = self._entries.changes + self._nodes.returned

    def _begin(self, parent: int) -> None:
        """Note a directory that is to be read."""
        if parent == ROOT_NODE and not self._entries.has_top:
            return
        place = self._entries.place(parent)
        if isinstance(place, Frozen):
            return
        if len(self._unread) >= _UNREAD:
            self._drop(next(iter(self._unread)))
        volume, path = volume_of(place[0]), volume_of(place[0]).path(*place)
        catalog = volume.revision.tree.find_loaded(path)
        if catalog is None:
            return
        self._known[parent] = self._unread[parent] = _Directory(volume, path, volume.span(catalog).base)
        self._rows += 1

    def _drop(self, parent: int) -> None:
        self._unread.pop(parent, None)
        self._rows -= 1 + len(self._known.pop(parent).answers)


class _Directory:
    """What was read of a directory, up to `row`. `base`: of the numbers of its catalog."""

    __slots__ = ("answers", "base", "is_whole", "path", "row", "volume")

    def __init__(self, volume: Volume, path: bytes, base: int) -> None:
        self.volume = volume
        self.path = path
        self.base = base
        self.answers: dict[bytes, Answer] = {}
        self.row = 0
        self.is_whole = False
