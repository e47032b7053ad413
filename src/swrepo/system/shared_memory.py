"""Memory that outlives a process: a file without a name, which the children of the one that made it share."""

from __future__ import annotations

import mmap
import os
import tempfile


class SharedMemory:
    """Zeroed bytes that can grow, and cost only what is touched. Linux.

    A process that finds it grown by another maps it anew by `map`.
    """

    def __init__(self, size: int, descriptor: int | None = None) -> None:
        """`size` bytes to begin with. `descriptor`: of memory that another program made and left open to this one."""
        self.descriptor = _nameless_file() if descriptor is None else descriptor
        self.grow(size)

    @property
    def size(self) -> int:
        """Bytes, as whichever process has made it grow."""
        return os.fstat(self.descriptor).st_size

    def grow(self, size: int) -> None:
        """Make it `size` bytes, if it has fewer."""
        if size > self.size:
            os.ftruncate(self.descriptor, size)

    def map(self) -> mmap.mmap:
        """All of it as it is now."""
        return mmap.mmap(self.descriptor, self.size)

    def close(self) -> None:
        """Let go of it; what is mapped stays."""
        os.close(self.descriptor)


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):  # not where Python was built for an older C library
        return os.memfd_create("swrepo", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
