"""The bytes of one file, over one object or many chunks.

Objects are opened when they are first read and stay open, a few at a time, until `close`.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from typing import Self

from swrepo.errors import FormatError, IsADirectory, TruncatedObject
from swrepo.format.dirent import Chunk, Dirent
from swrepo.objects.store import ExternalPlace, LocalObjects, Want
from swrepo.system.positional import read_and_close, read_at

_OPEN_PIECES = 8
"""Objects of one file that stay open: a read touches one or two, read-ahead a few more."""


def wanted_objects(entry: Dirent, chunks: tuple[Chunk, ...], path: bytes | None = None) -> tuple[Want, ...]:
    """The objects that hold a regular file's bytes, in order. FormatError where they do not make up its size.

    `path` is the file's in the repository, for external ones: it tells where they lie.
    """
    if chunks:
        _check_contiguous(entry, chunks)
        compression = entry.compression
        return tuple(
            Want(entry.chunk_id(chunk), compression, chunk.size, place=_place(entry, path, chunk.offset))
            for chunk in chunks
        )
    content = entry.content
    if content is not None:
        return (Want(content, entry.compression, entry.size, place=_place(entry, path, None)),)
    if entry.size == 0:
        return ()
    raise FormatError(f"the catalog says of {entry.name!r} that it has {entry.size} bytes, but not where they are")


class Content:
    """A regular file, open for reading. Safe from any thread; `close` waits for nobody, reads under way finish."""

    def __init__(
        self, entry: Dirent, chunks: tuple[Chunk, ...], objects: LocalObjects, path: bytes | None = None
    ) -> None:
        """FormatError or IsADirectory where the entry has no bytes that can be read. `path`: see wanted_objects."""
        _check_readable(entry)
        self.entry = entry
        self._wants = wanted_objects(entry, chunks, path)
        self._offsets = [chunk.offset for chunk in chunks] or [0]
        self._objects = objects
        self._lock = threading.Lock()
        self._open: OrderedDict[int, _Piece] = OrderedDict()  # guarded by _lock, oldest use first
        self._held: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.entry.size

    def pread(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`, fewer only at the end of the file. Fetches what is not here."""
        found = self._read(offset, size, fetch=True)
        assert found is not None  # noqa: S101 - with `fetch`, a piece is opened or an error raised
        return found

    def try_pread(self, offset: int, size: int) -> bytes | None:
        """The same, but None where something would have to be fetched."""
        return self._read(offset, size, fetch=False)

    def hold(self, at_most: int) -> None:
        """Have the whole file in memory for the first read, where it is one object that is here, of so many bytes."""
        if len(self._wants) == 1 and self.entry.size <= at_most:
            found = self._read_whole(self._wants[0], fetch=False)
            if found is not None and len(found) == self.entry.size:
                self._held = found

    @property
    def chunks(self) -> tuple[Want, ...]:
        """The objects of a file that has more than one, in order; of any other, nothing."""
        return self._wants if len(self._wants) > 1 else ()

    def chunk_at(self, offset: int) -> int:
        """The index of the chunk that holds the byte at `offset`."""
        return bisect_right(self._offsets, offset) - 1

    def chunk_start(self, index: int) -> int:
        """The offset of the first byte of a chunk."""
        return self._offsets[index]

    @property
    def objects(self) -> LocalObjects:
        """What fetches them."""
        return self._objects

    def wants(self, offset: int = 0, size: int | None = None) -> list[Want]:
        """The objects that hold this range (default: all of the file)."""
        end = self.size if size is None else offset + size
        return [self._wants[index] for index in self._pieces(offset, end)]

    def blocks(self, block_size: int = 1 << 20) -> Iterator[bytes]:
        """The whole file, in blocks."""
        for offset in range(0, self.size, block_size):
            yield self.pread(offset, block_size)

    def close(self) -> None:
        """Let go of the objects. Reading again opens them again."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].retire()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, offset: int, size: int, *, fetch: bool) -> bytes | None:
        held, self._held = self._held, None
        if held is not None:
            return held if offset == 0 and size >= len(held) else held[offset : offset + size]
        if offset == 0 and size >= self.entry.size and len(self._wants) == 1 and not self._open:
            found = self._read_whole(self._wants[0], fetch=fetch)
            if found is None or len(found) == self.entry.size:
                return found
        end = min(offset + size, self.size)
        parts: list[bytes] = []
        for index in self._pieces(offset, end):
            start = self._offsets[index]
            length = self._wants[index].size or 0
            first = max(offset, start)
            part = self._read_piece(index, first - start, min(end, start + length) - first, fetch=fetch)
            if part is None:
                return None
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _pieces(self, offset: int, end: int) -> range:
        """Indexes of the objects that hold bytes from `offset` to before `end`."""
        end = min(end, self.size)
        if offset < 0 or offset >= end or not self._wants:
            return range(0)
        return range(bisect_right(self._offsets, offset) - 1, bisect_right(self._offsets, end - 1))

    def _read_piece(self, index: int, offset: int, size: int, *, fetch: bool) -> bytes | None:
        for _ in range(2):
            piece = self._borrow(index) or self._open_piece(index, fetch=fetch)
            if piece is None:
                return None
            try:
                found = _up_to(piece, offset, size)
            finally:
                with self._lock:
                    piece.give_back()
            if len(found) == size:
                return found
            # Somebody cut the local copy off while it was open. Its size tells, so that it is brought again.
            with self._lock:
                if self._open.get(index) is piece:
                    self._open.pop(index).retire()
        raise TruncatedObject(f"the local copies of an object of {self.entry.name!r} become shorter; check the cache")

    def _read_whole(self, want: Want, *, fetch: bool) -> bytes | None:
        """A small file is read once, by the kernel that keeps it: it need not stay open."""
        if fetch:
            return self._objects.read_whole(want)
        descriptor = self._objects.open_if_here(want)
        return None if descriptor is None else read_and_close(descriptor, self.entry.size)

    def _borrow(self, index: int) -> _Piece | None:
        with self._lock:
            piece = self._open.get(index)
            if piece is not None:
                self._open.move_to_end(index)
                piece.users += 1
            return piece

    def _open_piece(self, index: int, *, fetch: bool) -> _Piece | None:
        want = self._wants[index]
        descriptor = self._objects.open(want) if fetch else self._objects.open_if_here(want)
        if descriptor is None:
            return None
        piece = _Piece(descriptor)
        with self._lock:
            other = self._open.get(index)
            if other is not None:  # another thread opened it meanwhile
                piece.retire()
                piece = other
            self._open[index] = piece
            self._open.move_to_end(index)
            piece.users += 1
            while len(self._open) > _OPEN_PIECES:
                self._open.popitem(last=False)[1].retire()
        return piece


class _Piece:
    """An open object with those who read from it at the moment; all under the lock of its Content."""

    __slots__ = ("descriptor", "read", "retired", "users")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.read = read_at(descriptor)
        self.users = 0
        self.retired = False

    def retire(self) -> None:
        """Close once nobody reads any more."""
        self.retired = True
        if self.users == 0:
            os.close(self.descriptor)

    def give_back(self) -> None:
        self.users -= 1
        if self.retired and self.users == 0:
            os.close(self.descriptor)


def _up_to(piece: _Piece, offset: int, size: int) -> bytes:
    """`size` bytes, or fewer at the end of what there is; one read may give less."""
    found = piece.read(size, offset)
    while len(found) < size and (more := piece.read(size - len(found), offset + len(found))):
        found += more
    return found


def _check_readable(entry: Dirent) -> None:
    if entry.is_directory:
        raise IsADirectory(f"{entry.name!r} is a directory")
    if not entry.is_regular or entry.is_symlink:
        raise FormatError(f"{entry.name!r} is not a regular file and has no content")


def _place(entry: Dirent, path: bytes | None, offset: int | None) -> ExternalPlace | None:
    if not entry.is_external:
        return None
    return ExternalPlace(entry.name if path is None else path, offset)


def _check_contiguous(entry: Dirent, chunks: tuple[Chunk, ...]) -> None:
    position = 0
    for chunk in chunks:
        if chunk.offset != position or chunk.size <= 0:
            raise FormatError(f"the chunks of {entry.name!r} have a gap or overlap at {position}")
        position += chunk.size
    if position != entry.size:
        raise FormatError(f"the chunks of {entry.name!r} have {position} bytes, the file {entry.size}")
