"""Small files in a cache's directory that many processes read and change, one at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: two processes may change a file at once there, so nothing vital is kept in one
    _flock = None
else:
    _flock = fcntl.flock

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""A network file system without locks is used without them, like Windows: nothing vital is kept in such a file."""

_READABLE, _OWN = 0o044, 0o600

_FLAGS = (
    os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """The file, made where it is missing, for one process and thread; freed by the kernel when they die. OSError."""
    descriptor = os.open(path, _FLAGS, _mode(path))
    try:
        _lock(descriptor, shared=False)
        yield descriptor
    finally:
        os.close(descriptor)


def join(path: Path) -> int:
    """A descriptor that counts among those who use the file, until it is closed. OSError."""
    descriptor = os.open(path, _FLAGS, _mode(path))
    _lock(descriptor, shared=True)
    return descriptor


def is_last(descriptor: int) -> bool:
    """Whether nobody else has joined; nobody can while the caller keeps the descriptor. Unknown counts as no."""
    if _flock is None:
        return False
    try:
        _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock(descriptor: int, *, shared: bool) -> None:
    if _flock is None:
        return
    try:
        _flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _mode(path: Path) -> int:
    """Whoever may look into the directory may read it."""
    return path.parent.stat().st_mode & _READABLE | _OWN
