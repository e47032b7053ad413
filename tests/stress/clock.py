"""Which revisions may be seen at a moment, in memory that all processes share."""

from __future__ import annotations

import mmap
from pathlib import Path


class Clock:
    """`shown`: the mount has said that it shows this revision. `begun`: its publication has begun. Each is one word."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if create:
            path.write_bytes(bytes(mmap.PAGESIZE))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._words = memoryview(self._memory).cast("Q")

    @property
    def shown(self) -> int:
        return self._words[0]

    @shown.setter
    def shown(self, revision: int) -> None:
        self._words[0] = revision

    @property
    def begun(self) -> int:
        return self._words[1]

    @begun.setter
    def begun(self, revision: int) -> None:
        self._words[1] = revision

    @property
    def is_over(self) -> bool:
        return bool(self._words[2])

    def end(self) -> None:
        self._words[2] = 1
