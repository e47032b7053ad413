"""Small files in a cache's directory that many processes read and change, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: two processes may change a file at once there, so nothing vital is kept in one
    _lock = None
else:
    _lock = fcntl.flock

_FLAGS = (
    os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """The file, made where it is missing, for one process and thread; freed by the kernel when they die. OSError."""
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        if _lock is not None:
            _lock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def join(path: Path) -> int:
    """A descriptor that counts among those who use the file, until it is closed. OSError."""
    descriptor = os.open(path, _FLAGS, 0o600)
    if _lock is not None:
        _lock(descriptor, fcntl.LOCK_SH)
    return descriptor


def is_last(descriptor: int) -> bool:
    """Whether nobody else has joined; nobody can while the caller keeps the descriptor. Unknown counts as no."""
    if _lock is None:
        return False
    try:
        _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
