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
        self._kept: dict[str, int] = {}

    def pin(self, path: str, descriptor: int) -> None:
        """Note that `path`, open as `descriptor` (which stays the caller's), is in use."""
        if _lock is None:
            return
        with self._lock:
            if path in self._held:
                self._held.move_to_end(path)
                return
            self._held[path] = _locked(descriptor)
            while len(self._held) > _AT_MOST:
                os.close(self._held.popitem(last=False)[1])

    def keep(self, path: str, descriptor: int) -> None:
        """The same until the end, for somebody asked for it. OSError where no more files can be open."""
        if _lock is None:
            return
        with self._lock:
            if path not in self._kept:
                self._kept[path] = _locked(descriptor)

    def close(self) -> None:
        """Let go of all."""
        with self._lock:
            while self._kept:
                os.close(self._kept.popitem()[1])
            while self._held:
                os.close(self._held.popitem()[1])


def _locked(descriptor: int) -> int:
    mine = os.dup(descriptor)
    if _lock is not None:
        with suppress(OSError):  # a file system without locks
            _lock(mine, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return mine


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
