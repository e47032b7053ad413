"""With which files programs begin to use a package, learned: `__init__.py`, `dist/index.js`."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from swrepo.format.paths import basename, parent

_LEVELS = 3
"""Directories from a package down to a file with which it begins, the package's own included."""

_OFTEN = 2
_MOST = 12
_REMEMBERED = 4096


class Beginning(NamedTuple):
    """A file by its place in a package; `below` is that of its directory, empty for the package's own."""

    below: bytes
    name: bytes


class Beginnings:
    """For one thread at a time."""

    def __init__(self) -> None:
        self._seen: Counter[Beginning] = Counter()

    def note(self, directory: bytes, name: bytes) -> None:
        """A file was opened."""
        below = b""
        for _ in range(_LEVELS):
            self._seen[Beginning(below, name)] += 1
            if not directory:
                break
            below = basename(directory) + b"/" + below if below else basename(directory)
            directory = parent(directory)
        if len(self._seen) > _REMEMBERED:
            self._seen = Counter(dict(self._seen.most_common(_REMEMBERED // 2)))

    def usual(self) -> list[Beginning]:
        """Those that were seen in several places, the most frequent first."""
        return [one for one, count in self._seen.most_common(_MOST) if count >= _OFTEN]
