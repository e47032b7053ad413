"""Whether a file still has the content that was published: told by the bytes, not by the name that we would give them.

Another compressor, level or chunk size names the same content otherwise. A file that was merely touched keeps the
objects that it has, so that clients need not fetch them again. It is quicker too: inflating is ten times as fast as
compressing.
"""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

from swrepo.errors import SwrepoError
from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.object_id import ObjectId
from swrepo.objects.store import ObjectSource, Want
from swrepo.publish.source_file import Span

_LARGEST_PIECE = 64 << 20
"""Bytes. What is stored in larger pieces is stored again: it would have to be held in memory."""


class Previous(NamedTuple):
    """What the last revision has for a file: its entry, and its chunks if it has any."""

    entry: Dirent
    chunks: tuple[Chunk, ...] = ()

    @property
    def pieces(self) -> list[tuple[int, ObjectId]]:
        """Sizes and names of the objects that make the content."""
        if self.entry.is_chunked:
            return [(chunk.size, self.entry.chunk_id(chunk)) for chunk in self.chunks]
        return [] if self.entry.content is None else [(self.entry.size, self.entry.content)]


def holds(file: Span, previous: Previous, source: ObjectSource) -> bool:
    """Whether what is left in `file` is what `previous` stands for. A damaged or missing object holds nothing."""
    pieces = previous.pieces
    if not pieces or previous.entry.is_external or any(size > _LARGEST_PIECE for size, _ in pieces):
        return False
    zeros: set[ObjectId] = set()
    for size, name in pieces:
        if name in zeros and file.skip_hole(size):
            continue
        if not _is_next(file, size, name, previous.entry.compression, source, zeros):
            return False
    return True


def _is_next(
    file: Span, size: int, name: ObjectId, compression: Compression, source: ObjectSource, zeros: set[ObjectId]
) -> bool:
    """Whether the object is what comes next in the file; if it is all zeros, it becomes one of `zeros`."""
    plain = BytesIO()
    try:
        source.fetch(Want(name, compression, size), plain)
    except SwrepoError:
        return False
    if file.read_fully(size) != plain.getbuffer():
        return False
    if plain.getvalue().count(0) == size:
        zeros.add(name)
    return True
