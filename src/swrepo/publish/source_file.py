"""Reads files of the work tree and notices when somebody writes to them meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from swrepo.publish.changes import Identity

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
ATTEMPTS = 3
"""How often a file that changes while it is read is read again before that is an error."""

_NO_FILE = "was a file when the directory was read and is none any more"
_UNSTEADY = f"changed while it was read, {ATTEMPTS} times; publish when it is at rest"


class UnstableFileError(Exception):
    """The file changed while it was read. Never leaves this package: it becomes a fault of the path."""


class Span:
    """The bytes that a file had when it was opened, and none that are appended: else a busy log has no end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._left = size

    def read(self, size: int) -> bytes:
        """Up to `size` more bytes; b"" at the end."""
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data

    def read_fully(self, size: int) -> bytes:
        """The same, fewer bytes only at the end."""
        data = self.read(size)
        while len(data) < size and (more := self.read(size - len(data))):
            data += more
        return data

    def skip_hole(self, size: int) -> bool:
        """Pass over the next `size` bytes, if the file has that many and none of them was ever written."""
        if self._left < size:
            return False
        here = self._size - self._left
        descriptor = self._file.fileno()
        try:
            data = os.lseek(descriptor, here, os.SEEK_DATA)
        except OSError as error:  # ENXIO: nothing but a hole up to the end. Else the file system does not tell.
            data = self._size if error.errno == errno.ENXIO else here
        is_hole = data - here >= size
        self.go_to(here + size if is_hole else here)
        return is_hole

    def go_to(self, offset: int) -> None:
        """Read on from `offset`."""
        os.lseek(self._file.fileno(), offset, os.SEEK_SET)
        self._left = self._size - offset


@contextmanager
def steady(path: bytes) -> Iterator[tuple[Span, os.stat_result]]:
    """The open file and its status; UnstableFileError at the end of the block where the file changed meanwhile.

    Raises OSError where the file cannot be opened, UnstableFileError also where it is no regular file any more.
    """
    with open(path, "rb", buffering=0, opener=_open) as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise UnstableFileError(_NO_FILE)
        yield Span(file, before.st_size), before
        if Identity.of(os.fstat(file.fileno())) != Identity.of(before):
            raise UnstableFileError(_UNSTEADY)


def read_whole(path: bytes) -> tuple[bytes, os.stat_result]:
    """All bytes of a small file, with the status that goes with them."""
    for _ in range(ATTEMPTS):
        # What `steady` does, without its objects: for small files they would take longer than the reading.
        descriptor = os.open(path, _FLAGS)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise UnstableFileError(_NO_FILE)
            data = os.read(descriptor, before.st_size) if before.st_size else b""
            if len(data) == before.st_size and _is_same(os.fstat(descriptor), before):
                return data, before
        finally:
            os.close(descriptor)
    raise UnstableFileError(_UNSTEADY)


def _is_same(now: os.stat_result, before: os.stat_result) -> bool:
    """Whether an open file was not written to; Identity says it of files that were found by name."""
    return (
        now.st_mtime_ns == before.st_mtime_ns
        and now.st_ctime_ns == before.st_ctime_ns
        and now.st_size == before.st_size
    )


def _open(path: str, flags: int) -> int:
    del flags
    return os.open(path, _FLAGS)
