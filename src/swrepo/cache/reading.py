"""A cache's directory held by a descriptor, for reading: each path is opened step by step; no symlink is followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
# A planted fifo must not block us.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class AnchoredReader:
    """The part of CacheDirectory that writes nothing. Safe from any thread."""

    def __init__(self, root: Path) -> None:
        """Take the directory `root`, which exists. OSError."""
        self.root = root
        self._root = os.open(root, DIRECTORY & ~getattr(os, "O_NOFOLLOW", 0))

    def open(self, directory: str, name: str) -> tuple[int, os.stat_result] | None:
        """See CacheDirectory."""
        try:
            parent = os.open(directory, DIRECTORY, dir_fd=self._root)
        except OSError:
            return None
        try:
            return open_regular(name, parent)
        finally:
            os.close(parent)

    def was_removed(self) -> bool:
        """See CacheDirectory."""
        return os.fstat(self._root).st_nlink == 0

    def close(self) -> None:
        """See CacheDirectory."""
        if self._root >= 0:
            os.close(self._root)
        self._root = -1


def open_regular(name: str, parent: int) -> tuple[int, os.stat_result] | None:
    """Descriptor and status of a regular file in an open directory; None where there is none."""
    try:
        descriptor = os.open(name, _READ, dir_fd=parent)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return None
    return descriptor, status
