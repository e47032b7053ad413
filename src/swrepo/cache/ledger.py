"""How many bytes a cache holds, as one number in a file that all processes add to.

An index of the objects would have to be written at every commit; a number is enough to know when to look, and looking
(`inventory.held`) takes 3 us an object, once for every half of the limit that is fetched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swrepo.cache.locking import locked

_WIDTH = 20
_NUMBER = "swrepo.usage"
_CLEANING = "swrepo.cleanup"


class Ledger:
    """The files live in the cache's directory and are made when they are first needed. Safe between processes.

    A process that is killed has forgotten what it did not `add` yet; a machine that stops, the last half minute. The
    number drifts by that much until the next clean-up counts anew.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self) -> int | None:
        """The number; None where nobody has counted yet, or the file is damaged."""
        return self.add(0)

    def add(self, amount: int) -> int | None:
        """Add `amount`, which may be negative, and return the sum; None where there is no number to add to. OSError."""
        with locked(self._root / _NUMBER) as descriptor:
            known = _parse(descriptor)
            if known is None or not amount:
                return known
            return _write(descriptor, known + amount)

    def begin(self) -> int:
        """The number; 0 from now on where there was none, because there is nothing to count yet. OSError."""
        with locked(self._root / _NUMBER) as descriptor:
            known = _parse(descriptor)
            return _write(descriptor, 0) if known is None else known

    def correct(self, seen_at_start: int | None, counted: int) -> int:
        """Set the number to what was `counted` and what others added since the counting started. OSError."""
        with locked(self._root / _NUMBER) as descriptor:
            now = _parse(descriptor)
            since = now - seen_at_start if now is not None and seen_at_start is not None else 0
            return _write(descriptor, counted + since)

    @contextmanager
    def cleaning(self) -> Iterator[None]:
        """Hold the lock of those who clean up: one process at a time, freed by the kernel when it dies. OSError."""
        with locked(self._root / _CLEANING):
            yield


def _parse(descriptor: int) -> int | None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    text = os.read(descriptor, _WIDTH + 1)
    return int(text) if len(text) == _WIDTH and text.isdigit() else None


def _write(descriptor: int, number: int) -> int:
    number = max(0, number)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, b"%0*d" % (_WIDTH, number))
    return number
