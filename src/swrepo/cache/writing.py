"""One new file of a cache: filled under no name, then given its name, or discarded."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from io import BufferedWriter, FileIO
from types import TracebackType
from typing import BinaryIO

from swrepo.cache.directory import CacheDirectory


def install(place: CacheDirectory, write: Callable[[BinaryIO], object], directory: str, name: str) -> None:
    """Have `write` fill a file and name it `directory/name`. OSError, and what `write` raises: then nothing is left."""
    descriptor, unfinished = place.create()
    try:
        with _Writer(descriptor) as file:
            write(file)
        place.commit(unfinished, directory, name)
    except BaseException:
        place.discard(unfinished)
        raise


def sync(file: BinaryIO) -> None:
    """Make what was written durable."""
    file.flush()
    os.fsync(file.fileno())


class _Writer(BufferedWriter):
    """A file whose closing after an error does not raise another one: its bytes are not wanted any more."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(FileIO(descriptor, "wb"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with suppress(OSError):
            self.close()
