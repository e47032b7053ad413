"""Reading a file at a position, by many threads at once, whether the system has `pread` or not."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial

ReadAt = Callable[[int, int], bytes]
"""(size, offset) -> up to so many bytes from there; none at the end of the file."""


def read_at(descriptor: int) -> ReadAt:
    """Positional reads from an open file. Only these may use the descriptor; it stays the caller's to close."""
    if hasattr(os, "pread"):
        return partial(os.pread, descriptor)
    return SharedPosition(descriptor).read


def read_and_close(descriptor: int, size: int) -> bytes:
    """Up to `size` bytes of a file that was just opened, by one read."""
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


class SharedPosition:
    """The same by seek and read, which all who read from this descriptor have to take turns for."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def read(self, size: int, offset: int) -> bytes:
        """See `ReadAt`."""
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, size)
