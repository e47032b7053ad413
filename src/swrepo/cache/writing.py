"""One new file of a cache: filled under no name, then given its name, or discarded."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from io import BufferedWriter, FileIO
from types import TracebackType
from typing import BinaryIO

from swrepo.cache.directory import CacheDirectory
from swrepo.cache.inventory import mark_volatile
from swrepo.cache.record import Record, crc32

Content = bytes | Callable[[BinaryIO], object]
"""What a file is to hold: its bytes, or what writes them."""


def install(
    place: CacheDirectory,
    content: Content,
    directory: str,
    name: str,
    boot: bytes,
    *,
    goes_first: bool = False,
) -> None:
    """Make a file, note what it is checked by later, and name it `directory/name`.

    OSError, and what writing the content raises: then nothing is left.
    """
    descriptor, unfinished = place.create()
    try:
        if isinstance(content, bytes):
            _write_at_once(descriptor, content, boot, goes_first=goes_first)
        else:
            with _Writer(descriptor) as file:
                content(file)
                _note(descriptor, file.record(boot), goes_first=goes_first)
        place.commit(unfinished, directory, name)
    except BaseException:
        place.discard(unfinished)
        raise


def _write_at_once(descriptor: int, content: bytes, boot: bytes, *, goes_first: bool) -> None:
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        _note(descriptor, Record(crc32(content), len(content), boot), goes_first=goes_first)
    finally:
        os.close(descriptor)


def _note(descriptor: int, found: Record | None, *, goes_first: bool) -> None:
    if found is not None:
        found.write(descriptor)
    if goes_first:
        mark_volatile(descriptor)


def sync(file: BinaryIO) -> None:
    """Make what was written durable."""
    file.flush()
    os.fsync(file.fileno())


class _Writer(BufferedWriter):
    """A file that sums up what is written to it, as long as that is one byte after the other.

    Closing it after an error does not raise another one: its bytes are not wanted any more.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(FileIO(descriptor, "wb"))
        self._checksum = self._size = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        self._checksum = crc32(data, self._checksum)
        self._size += memoryview(data).nbytes
        return super().write(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if (offset, whence) == (0, os.SEEK_SET):  # who fetches again begins again
            self._checksum = self._size = 0
        return super().seek(offset, whence)

    def record(self, boot: bytes) -> Record | None:
        """What to note on the file; None where the sum is not that of its bytes."""
        self.flush()
        whole = self._size == self.tell() == os.fstat(self.fileno()).st_size
        return Record(self._checksum, self._size, boot) if whole else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with suppress(OSError):
            self.close()
