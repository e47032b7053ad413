"""Objects of the repository as plain local files, for reading the last revision's catalogs. Holds nothing for later."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, cast

from swrepo.format.object_id import ObjectId
from swrepo.objects.store import DOCUMENT_LIMIT, LocalObjects, ObjectSource, Want
from swrepo.system.positional import read_and_close


class PlainObjects:
    """LocalObjects over any source: each `open` decodes the object into a file without a name below `scratch`."""

    def __init__(self, source: ObjectSource, scratch: Path) -> None:
        self._source = source
        self._scratch = scratch

    def open(self, want: Want) -> int:
        """See LocalObjects."""
        with _nameless(self._scratch) as file:
            self._source.fetch(want, file)
            file.flush()
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            return os.dup(file.fileno())

    def open_if_here(self, want: Want) -> int | None:
        """See LocalObjects: nothing is ever here without decoding."""
        del want
        return None

    def read_whole(self, want: Want) -> bytes:
        """See LocalObjects."""
        return read_and_close(self.open(want), want.size or 0)


def read_object(objects: LocalObjects, name: ObjectId) -> bytes:
    """All plain bytes of a small object that is always compressed: a certificate, meta info."""
    with open(objects.open(Want(name, limit=DOCUMENT_LIMIT)), "rb") as file:
        return file.read()


def _nameless(directory: Path) -> BinaryIO:
    """A new file that is gone when it is closed."""
    try:
        descriptor = os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except (AttributeError, OSError):  # not every system, and not every file system, has such files
        import tempfile

        return cast("BinaryIO", tempfile.TemporaryFile(dir=directory))
    return open(descriptor, "w+b")
