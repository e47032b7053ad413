"""Which catalogs are in use: each process holds a shared lock on those that it opened last.

The kernel frees a dead process's locks, and whoever cleans up sees those of all processes. Only the order of eviction
depends on it: an open file keeps its bytes without its name.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, which does not remove open files anyway
    _lock = None
else:
    _lock = fcntl.flock


_AT_MOST = 128
"""Descriptors that are kept open for it."""

_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class Pins:
    """The newest catalogs that this process opened. `_lock` guards the table."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[str, int] = OrderedDict()

    def pin(self, path: str, descriptor: int) -> None:
        """Note that `path`, open as `descriptor` (which stays the caller's), is in use."""
        if _lock is None:
            return
        with self._lock:
            if path in self._held:
                self._held.move_to_end(path)
                return
            mine = os.dup(descriptor)
            with suppress(OSError):  # a file system without locks
                _lock(mine, fcntl.LOCK_SH | fcntl.LOCK_NB)
            self._held[path] = mine
            while len(self._held) > _AT_MOST:
                os.close(self._held.popitem(last=False)[1])

    def close(self) -> None:
        """Let go of all."""
        with self._lock:
            while self._held:
                os.close(self._held.popitem()[1])


def is_pinned(path: Path) -> bool:
    """Whether any process has pinned the file."""
    if _lock is None:
        return False
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        return False
    try:
        _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
