"""Keeps the threads that fetch small objects on the processor of the loop, as long as they do.

They share one interpreter, so only one of them works at a time; on two processors they spend more time waking each
other than working. Walking 10,000 cold files: 5.0 s on two processors, 2.5 s on one (docs/adr/0008).
"""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import suppress

_getcpu = getattr(ctypes.CDLL(None), "sched_getcpu", None)


class OneProcessor:
    """`gather` is called by the loop's thread, the rest by those that fetch. `_lock` guards the number of these."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._allowed: set[int] = set()
        self._chosen = -1
        self._loop = 0
        self._working = 0

    def gather(self) -> None:
        """Work begins: all stay where the loop is now."""
        if self._chosen >= 0 or _getcpu is None:
            return
        with self._lock, suppress(OSError):
            self._loop = threading.get_native_id()
            self._allowed = os.sched_getaffinity(0)
            chosen = _getcpu()
            if len(self._allowed) > 1 and chosen in self._allowed:
                os.sched_setaffinity(0, {chosen})
                self._chosen = chosen

    def join(self) -> None:
        """The calling thread fetches from now on."""
        with self._lock, suppress(OSError):
            self._working += 1
            if self._chosen >= 0:
                os.sched_setaffinity(0, {self._chosen})

    def leave(self) -> None:
        """The calling thread has nothing to fetch; the last one lets the loop go, too."""
        with self._lock, suppress(OSError):
            self._working -= 1
            if self._chosen >= 0:
                os.sched_setaffinity(0, self._allowed)
                if not self._working:
                    self._chosen = -1
                    os.sched_setaffinity(self._loop, self._allowed)
