"""Objects that are read without being kept, while the cache's disk is full."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from swrepo.errors import SwrepoError

log = logging.getLogger(__name__)

PAUSE = 10.0
"""Seconds for which a full disk is not tried again."""

_IN_MEMORY = 64 << 20
"""Bytes of the largest object that is held in memory; a larger one needs a file in the system's temporary directory."""


class Passing:
    """Plain bytes without a name: in memory, or in an unlinked file. Gone when nobody has them open any more."""

    def __init__(self, size: int | None) -> None:
        """Room for `size` bytes. OSError."""
        if size is not None and size <= _IN_MEMORY and hasattr(os, "memfd_create"):
            self._descriptor = os.memfd_create("swrepo", os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile(prefix="swrepo.", buffering=0) as file:
                self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)

    def fill(self, write: Callable[[BinaryIO], object]) -> int:
        """Have `write` fill it; the number of bytes. OSError, and what `write` raises."""
        with open(os.dup(self._descriptor), "r+b") as file:
            write(file)
            return file.tell()

    def open(self) -> int:
        """A descriptor of one's own, read-only and at the beginning where the system can do that."""
        try:
            return os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            return os.dup(self._descriptor)


class Detour:
    """Whether the disk is to be left out at the moment. Says so once, and once when it is over."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None

    def is_on(self) -> bool:
        """Whether the disk was full a moment ago."""
        return self._since is not None and self._clock() - self._since < PAUSE

    def begin(self, error: SwrepoError) -> None:
        """The disk is full."""
        with self._lock:
            if self._since is None:
                log.warning("reading goes on without keeping what is read: %s", error)
            self._since = self._clock()

    def end(self) -> None:
        """Something was kept."""
        if self._since is not None:
            with self._lock:
                self._since = None
            log.info("the cache %s has room again", self._root)
