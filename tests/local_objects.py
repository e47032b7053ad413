"""LocalObjects for tests: plain objects in a directory, unpacked from any source when they are first asked for."""

from __future__ import annotations

import os
from pathlib import Path

from swrepo.objects.store import ObjectSource, Want
from swrepo.system.positional import read_and_close


class UnpackedObjects:
    """Keeps what it fetched under its name; counts the fetches. For one thread."""

    def __init__(self, source: ObjectSource, directory: Path) -> None:
        self._source = source
        self._directory = directory
        self.fetched: list[Want] = []

    def open(self, want: Want) -> int:
        path = self._directory / want.id.name
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
            with unfinished.open("wb") as out:
                self._source.fetch(want, out)
            unfinished.rename(path)
            self.fetched.append(want)
        return os.open(path, os.O_RDONLY)

    def open_if_here(self, want: Want) -> int | None:
        return self.open(want) if (self._directory / want.id.name).exists() else None

    def read_whole(self, want: Want) -> bytes:
        return read_and_close(self.open(want), want.size or 0)
