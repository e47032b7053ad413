"""One file of the work tree into the object store: read, cut, compress, name, put."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import BinaryIO, NamedTuple, cast

from swrepo.format.dirent import Chunk, Flag, content_flags
from swrepo.format.object_id import Kind
from swrepo.objects import codec
from swrepo.objects.chunker import ChunkSizes, boundaries
from swrepo.objects.store import ObjectSource, ObjectStore
from swrepo.publish.comparison import Previous, holds
from swrepo.publish.encoder import Encoder
from swrepo.publish.source_file import ATTEMPTS, Span, UnstableFileError, read_whole, steady
from swrepo.publish.staged import Content


class Stored(NamedTuple):
    """A content that is in the store, and the status that the file had while it was read."""

    content: Content
    status: os.stat_result


Submit = Callable[[Callable[[], bytes]], "Future[bytes]"]
"""Runs a function soon, perhaps on another thread; blocks while too much is under way."""


def at_once(function: Callable[[], bytes]) -> Future[bytes]:
    """A Submit without threads."""
    future: Future[bytes] = Future()
    future.set_result(function())
    return future


@dataclass(frozen=True, slots=True)
class FileReader:
    """Safe from any thread. `sizes` is None where files are not to be cut; `source` has what was published before."""

    source: ObjectSource
    store: ObjectStore
    encoder: Encoder
    sizes: ChunkSizes | None = field(default_factory=ChunkSizes)

    @property
    def whole_limit(self) -> int:
        """Bytes of the largest file that is read in one piece."""
        return (self.sizes or ChunkSizes()).minimum

    @property
    def file_flags(self) -> int:
        """Flags of a file that is stored as one object."""
        return int(Flag.FILE) | content_flags(self.encoder.algorithm, self.encoder.compression)

    def store_file(self, path: bytes, size: int, previous: Previous | None = None, submit: Submit = at_once) -> Stored:
        """Store the content of a file of about `size` bytes, unless it still is `previous`.

        Raises OSError and UnstableFileError where the file cannot be read, and what the store raises.
        """
        if previous is not None and previous.entry.size == size:
            kept = self._kept(path, previous)
            if kept is not None:
                return kept
        if size <= self.whole_limit:
            plain, status = read_whole(path)
            if len(plain) <= self.whole_limit:
                return Stored(self._whole(self._put(plain, Kind.FILE)), status)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with steady(path) as (file, status):
                    if self.sizes is None:
                        content, length = self._put_stream(file)
                    else:
                        content, length = self._put_chunks(boundaries(file.read, self.sizes), submit)
                if length == status.st_size:
                    return Stored(content, status)
            except UnstableFileError:
                if attempt == ATTEMPTS:
                    raise
        raise UnstableFileError("has another number of bytes than its size says")

    def _kept(self, path: bytes, previous: Previous) -> Stored | None:
        """The old content, where the file still has it."""
        try:
            with steady(path) as (file, status):
                if status.st_size != previous.entry.size or not holds(file, previous, self.source):
                    return None
        except UnstableFileError:
            return None
        return Stored(Content(previous.entry.digest, previous.chunks, previous.entry.flags), status)

    def _whole(self, digest: bytes) -> Content:
        return Content(digest, (), self.file_flags)

    def _put(self, plain: bytes, kind: Kind) -> bytes:
        stored = self.encoder.encode(plain)
        name = self.encoder.named(stored, kind)
        self.store.put(name, stored)
        return name.digest

    def _put_chunks(self, pieces: Iterator[bytes], submit: Submit) -> tuple[Content, int]:
        """The format knows no file of exactly one chunk: that is a plain object. Source: format.md 6, "chunks"."""
        first = next(pieces, b"")
        second = next(pieces, None)
        if second is None:
            return self._whole(self._put(first, Kind.FILE)), len(first)
        placed: list[tuple[int, int, Future[bytes]]] = []
        offset = 0
        for piece in chain((first, second), pieces):
            placed.append((offset, len(piece), submit(partial(self._put, piece, Kind.PARTIAL))))
            offset += len(piece)
        chunks = tuple(Chunk(start, size, future.result()) for start, size, future in placed)
        return Content(None, chunks, self.file_flags | int(Flag.CHUNKED)), offset

    def _put_stream(self, plain: Span) -> tuple[Content, int]:
        """A file of any size as one object, in constant memory."""
        with tempfile.TemporaryFile() as stored:
            encoded = codec.encode_stream(
                cast("BinaryIO", plain),
                stored,
                compression=self.encoder.compression,
                algorithm=self.encoder.algorithm,
                level=self.encoder.level,
            )
            stored.seek(0)
            self.store.put(encoded.id, stored)
        return self._whole(encoded.id.digest), encoded.plain_size
