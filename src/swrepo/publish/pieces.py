"""A large file as the pieces that become its chunks: cut by its content, and holes passed over unread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, Self

from swrepo.format.dirent import Chunk
from swrepo.objects.chunker import ChunkSizes, boundaries
from swrepo.publish.changes import Identity


class Readable(Protocol):
    """What `Pieces` needs of a file: `source_file.Span`, or a member of an archive."""

    def read(self, size: int) -> bytes: ...

    def skip_hole(self, size: int) -> bool: ...

    def go_to(self, offset: int) -> None: ...


class Begun:
    """A file whose beginning was read already."""

    def __init__(self, start: bytes, rest: Readable) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, b"" at the end."""
        if not self._start:
            return self._rest.read(size)
        data, self._start = self._start[:size], self._start[size:]
        return data


class Journal(Protocol):
    """Which chunks of a large file are stored, so that a publication that was stopped goes on there. For one thread."""

    def begun(self, file: Identity) -> tuple[Chunk, ...]:
        """Those that are noted, from the file's beginning without a gap."""
        ...

    def note(self, file: Identity, chunk: Chunk) -> None:
        """Remember one that the store has taken."""
        ...


class NoJournal:
    """Nothing is remembered."""

    def begun(self, file: Identity) -> tuple[Chunk, ...]:
        del file
        return ()

    def note(self, file: Identity, chunk: Chunk) -> None:
        del file, chunk


class Pieces:
    """The pieces of what is left in `file`, in order; none for an empty one. Iterate once.

    A hole of the largest size is a piece of zeros (the rule cuts zeros nowhere else): the same object each time, and
    not read. So a file of 1 TB that was never written to takes no longer than a few megabytes.
    """

    def __init__(self, file: Readable, sizes: ChunkSizes) -> None:
        self._file = file
        self._sizes = sizes
        self._zeros: bytes | None = None
        self._read = self._cut()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return next(self._read)

    def go_to(self, offset: int) -> None:
        """Go on with the piece that begins at `offset`, where there has to be a cut."""
        self._file.go_to(offset)
        self._read = self._cut()

    def _cut(self) -> Iterator[bytes]:
        behind = 0  # bytes that the chunker has read and not given out
        read = 0

        def counted(size: int) -> bytes:
            nonlocal read
            data = self._file.read(size)
            read += len(data)
            return data

        while True:
            while self._file.skip_hole(self._sizes.maximum):
                if self._zeros is None:
                    self._zeros = bytes(self._sizes.maximum)
                yield self._zeros
            given = read
            for piece in boundaries(counted, self._sizes):
                yield piece
                given += len(piece)
                behind = read - given
                if behind == 0:
                    break  # a hole may begin here
            else:
                return
