"""A lock between processes that tells who holds it and dies with its holder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from swrepo.errors import Busy, PermissionRefused
from swrepo.system.atomic import make_directory
from swrepo.system.ownership import leave_to_owner

_OWNER_LIMIT = 4096


@contextmanager
def exclusive(
    path: Path,
    purpose: str,
    clock: Callable[[], float] = time.time,
    *,
    waiting: Callable[[str], object] | None = None,
) -> Iterator[None]:
    """Hold the lock file `path` for the length of the block. Busy, naming the holder, where somebody else does.

    With `waiting`, which is told who holds it, wait for them to end instead.

    The kernel's flock: it is freed when the holder ends, kill -9 included, so a leftover file never blocks anybody. The
    file stays, because removing it would let two holders lock two files of the same name.
    """
    try:
        make_directory(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        leave_to_owner(path)  # else a lock that root once held would keep the owner out
    except PermissionError as error:
        raise PermissionRefused(f"{purpose}: cannot open the lock {path}; run as the repository's owner") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(descriptor, _OWNER_LIMIT, 0).decode("utf-8", "replace").strip() or "starting"
            if waiting is None:
                raise Busy(f"{purpose}: somebody else is at it ({owner}); wait for them to end") from error
            waiting(owner)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock()))
        _tell(descriptor, f"pid {os.getpid()} on {os.uname().nodename}, {purpose}, since {since}")
        yield
        _tell(descriptor, "")
    finally:
        os.close(descriptor)  # frees the lock


def _tell(descriptor: int, holder: str) -> None:
    """Let others read who holds the lock. It is held also where the disk takes no text."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)
