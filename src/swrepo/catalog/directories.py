"""Directories in which much is looked up, remembered whole: names that are there, and those that are not, without SQL.

Looking one name up takes SQLite as long as listing three or four. Programs that look for a few names in a directory pay
for those; programs that look for many (a search path, `tar`) soon pay nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from swrepo.errors import FormatError
from swrepo.format.dirent import Dirent

_FIRST_LOOK = 8
"""Look-ups in a directory before its size is asked for."""

_WORTH = 4
"""A directory of N entries is remembered after N / 4 look-ups: then it has cost no more than those did."""

_LARGEST = 4096
_MOST_ENTRIES = 32768
"""Entries that are remembered, of half a kilobyte each; beyond that, the oldest directories are forgotten."""

_MOST_COUNTED = 2048
_NEVER = -1
_NOTHING: tuple[bytes, Mapping[bytes, Dirent]] = (b"", {})


class Listings(Protocol):
    """What a catalog tells of its directories."""

    mountpoint: bytes

    def listing(self, path: bytes, *, hidden: bool) -> list[Dirent]: ...

    def size(self, path: bytes, at_most: int) -> int: ...


class Directories:
    """The memory of one tree. From any thread: two that fill it at once do the same work, and no harm."""

    def __init__(self, most_entries: int = _MOST_ENTRIES) -> None:
        self._most_entries = most_entries
        self._known: dict[bytes, tuple[bytes, Mapping[bytes, Dirent]]] = {}
        self._entries = 0
        self._wait: dict[bytes, int] = {}  # look-ups to come before a directory is thought about again
        self._sized: set[bytes] = set()  # those that are remembered then

    def entries(self, directory: bytes, catalog: Listings) -> Mapping[bytes, Dirent] | None:
        """The entries of a directory of `catalog` by name, hidden ones too; None: not remembered, ask the catalog.

        To be called for each look-up.
        """
        known = self._known.get(directory)
        if known is not None and known[0] == catalog.mountpoint:
            return known[1]
        wait = self._wait.get(directory, _FIRST_LOOK)
        if wait > 0:
            if len(self._wait) >= _MOST_COUNTED:
                self._wait.clear()
                self._sized.clear()
            self._wait[directory] = wait - 1
            return None
        return None if wait == _NEVER else self._think(directory, catalog)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self._wait.clear()
        self._sized.clear()
        self._entries = 0

    def _think(self, directory: bytes, catalog: Listings) -> Mapping[bytes, Dirent] | None:
        """Remember the directory, or decide when or that it is not to be."""
        if directory not in self._sized:
            size = catalog.size(directory, _LARGEST + 1)
            later = size // _WORTH - _FIRST_LOOK
            if size > _LARGEST or later > 0:
                self._sized.add(directory)
                self._wait[directory] = _NEVER if size > _LARGEST else later
                return None
        try:
            found = {entry.name: entry for entry in catalog.listing(directory, hidden=True)}
        except FormatError:  # whoever lists it gets to know
            self._wait[directory] = _NEVER
            return None
        self._entries += len(found) - len(self._known.pop(directory, _NOTHING)[1])
        self._known[directory] = catalog.mountpoint, found
        self._forget_oldest()
        return found

    def _forget_oldest(self) -> None:
        """Keep to the limit. What is forgotten has to be worth it anew, or two directories could chase each other."""
        while self._entries > self._most_entries and self._known:
            directory, (_, entries) = next(iter(self._known.items()))
            del self._known[directory]
            self._entries -= len(entries)
            self._wait[directory] = max(_FIRST_LOOK, len(entries) // _WORTH)
