"""The bytes of a published file, written to a local one: from the cache, or past it, always verified."""

from __future__ import annotations

import logging
import os
from typing import BinaryIO, cast

from swrepo.cache import record
from swrepo.errors import CorruptObject
from swrepo.format.dirent import Dirent
from swrepo.objects.store import LocalObjects, ObjectSource, Want
from swrepo.repository.content import Content
from swrepo.repository.revision import Revision

log = logging.getLogger(__name__)

_BLOCK = 1 << 20


def write(revision: Revision, path: bytes, entry: Dirent, out: BinaryIO, past_cache: ObjectSource | None) -> int:
    """Write all of a file to `out`, an empty local file; its size.

    With `past_cache` what the cache lacks comes straight from there and is not kept: a large copy would only drive out
    what others use. What the cache has is checked against the checksum that was noted when it came.
    """
    chunks = revision.chunks(path) if entry.is_chunked else ()
    with Content(entry, chunks, revision.objects, path) as content:
        if past_cache is None:
            out.writelines(content.blocks(_BLOCK))
            return content.size
        position = 0
        for want in content.wants():
            _write_object(revision.objects, want, out, position, past_cache)
            position += want.size or 0
    return entry.size


def _write_object(objects: LocalObjects, want: Want, out: BinaryIO, position: int, source: ObjectSource) -> None:
    descriptor = objects.open_if_here(want)
    if descriptor is not None:
        try:
            _write_cached(descriptor, want, out)
            return
        except CorruptObject as error:
            log.warning("%s; it is fetched again", error)
            out.seek(position)
            out.truncate()
        finally:
            os.close(descriptor)
    source.fetch(want, out if position == 0 else cast("BinaryIO", _Rest(out, position)))


def _write_cached(descriptor: int, want: Want, out: BinaryIO) -> None:
    noted = record.read(descriptor)
    checksum = size = 0
    while block := os.read(descriptor, _BLOCK):
        out.write(block)
        size += len(block)
        if noted is not None:
            checksum = record.crc32(block, checksum)
    if size != want.size or (noted is not None and checksum != noted.checksum):
        raise CorruptObject(f"object {want.id} is damaged in the cache ('swrepo fsck' removes it)")


class _Rest:
    """What comes after `start` in a file, as an empty file of its own: where the next object of a large file goes."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self._start = start
        file.seek(start)

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """To a place counted from the start."""
        return self._file.seek(offset + (self._start if whence == os.SEEK_SET else 0), whence) - self._start

    def truncate(self) -> int:
        return self._file.truncate() - self._start

    def flush(self) -> None:
        self._file.flush()
