"""Where the entries of a subtree go in a local directory, which names it can hold, and which it holds besides."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from swrepo.api.placing import Refused
from swrepo.client.local_files import folded, folds_case, of_this_system
from swrepo.format.paths import basename, is_within, parent


class Shape:
    """The subtree `start` of a repository at the local path `place`. For one thread."""

    def __init__(self, start: bytes, place: bytes) -> None:
        self._start = start
        self._place = place
        self.rules = of_this_system()
        self._taken: dict[str, bytes] | None = {} if folds_case(_nearest_directory(place)) else None
        self._entered: list[tuple[bytes, set[str]]] = []

    def place(self, path: bytes) -> bytes:
        """The local path of a path in the repository."""
        return self._place + path[len(self._start) :].replace(b"/", os.sep.encode())

    def claim(self, path: bytes) -> None:
        """Note that `path` has its place. Refused where this system has none for its name, as far as names tell."""
        if why := self.rules.objection(basename(path)):
            raise Refused(f"{why}, which this system does not hold")
        if self._taken is not None and (first := self._taken.setdefault(folded(path), path)) != path:
            shown = first.decode("utf-8", "backslashreplace")
            raise Refused(f"for this file system it has the same name as {shown}")
        if self._entered and self._entered[-1][0] == parent(path):
            self._entered[-1][1].add(self.name(basename(path)))

    def enter(self, path: bytes) -> None:
        """The walk goes into the directory `path`."""
        self._entered.append((path, set()))

    def leave(self, path: bytes | None) -> Iterator[tuple[bytes, set[str]]]:
        """The directories that a walk has left when it comes to `path` (None: its end), and the names claimed there."""
        while self._entered and (path is None or not is_within(path, self._entered[-1][0])):
            directory, names = self._entered.pop()
            yield self.place(directory), names

    def name(self, name: bytes) -> str:
        """The same for all names that are one in this file system."""
        return os.fsdecode(name) if self._taken is None else folded(name)


def _nearest_directory(path: bytes) -> bytes:
    """`path` itself, or the directory in which it, or its first missing ancestor, would be made."""
    absolute = Path(os.fsdecode(path)).absolute()
    return os.fsencode(next(above for above in (absolute, *absolute.parents) if above.is_dir()))
