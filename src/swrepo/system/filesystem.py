"""One `syncfs` for many files, where the system has it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path


def sync_filesystem(path: Path) -> bool:
    """Make everything durable that was written to the file system of `path`.

    False where the system has no such call: then each file needs its own fsync. OSError where writing back failed.
    """
    syncfs = _syncfs()
    if syncfs is None:
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if syncfs(descriptor) != 0:
            import ctypes

            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)
    return True


@cache
def _syncfs() -> Callable[[int], int] | None:
    import ctypes  # here: a publication that changes nothing does without

    function = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if function is None:
        return None
    function.argtypes, function.restype = (ctypes.c_int,), ctypes.c_int
    found: Callable[[int], int] = function
    return found
