"""One file of the work tree into the object store: read, cut, compress, name, put."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from typing import BinaryIO, NamedTuple, cast

from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk, Flag, content_flags
from swrepo.format.object_id import Kind, ObjectId
from swrepo.objects import codec
from swrepo.objects.chunker import ChunkSizes
from swrepo.objects.store import ObjectSource, ObjectStore
from swrepo.publish.changes import Identity
from swrepo.publish.comparison import Previous, holds
from swrepo.publish.encoder import Encoder
from swrepo.publish.packing import SAMPLE, Packer, Packing
from swrepo.publish.pieces import Begun, Journal, NoJournal, Pieces
from swrepo.publish.promise import Known, Promise
from swrepo.publish.source_file import ATTEMPTS, Span, UnstableFileError, read_whole, steady
from swrepo.publish.staged import Content

_NO_JOURNAL = NoJournal()


class Stored(NamedTuple):
    """A content that is in the store, and the status that the file had while it was read; None: the expected one."""

    content: Content
    status: os.stat_result | None


Submit = Callable[[Callable[[], bytes]], Promise[bytes]]
"""Runs a function soon, perhaps on another thread; blocks while too much is under way."""


def at_once(function: Callable[[], bytes]) -> Promise[bytes]:
    """A Submit without threads."""
    return Known(function())


@dataclass(frozen=True, slots=True)
class FileReader:
    """Safe from any thread. `sizes` is None where files are not to be cut; `source` has what was published before.

    `external`: contents are named by their plain bytes and not stored. `tree` is the directory that the repository's
    paths begin in.
    """

    source: ObjectSource
    store: ObjectStore
    encoder: Encoder
    sizes: ChunkSizes | None = field(default_factory=ChunkSizes)
    packing: Packing = field(default_factory=Packing)
    external: bool = False
    tree: bytes = b""
    _packer: Packer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        encoder = replace(self.encoder, compression=Compression.NONE) if self.external else self.encoder
        object.__setattr__(self, "_packer", Packer(encoder, self.packing))

    @property
    def whole_limit(self) -> int:
        """Bytes of the largest file that is read in one piece."""
        return (self.sizes or ChunkSizes()).minimum

    def _flags(self, encoder: Encoder) -> int:
        """Flags of a file that is one object."""
        external = int(Flag.EXTERNAL) if self.external else 0
        return int(Flag.FILE) | content_flags(encoder.algorithm, encoder.compression) | external

    def store_file(
        self,
        path: bytes,
        size: int,
        previous: Previous | None = None,
        submit: Submit = at_once,
        journal: Journal = _NO_JOURNAL,
    ) -> Stored:
        """Store the content of a file of about `size` bytes, unless it still is `previous`.

        Raises OSError and UnstableFileError where the file cannot be read, and what the store raises.
        """
        if previous is not None and previous.entry.size == size:
            kept = self._kept(path, previous)
            if kept is not None:
                return kept
        encoder = self._packer.for_path(path.removeprefix(self.tree))
        if size <= self.whole_limit:
            plain, status = read_whole(path)
            if len(plain) <= self.whole_limit:
                return Stored(self._put_whole(self._packer.for_content(encoder, plain), plain), status)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with steady(path) as (file, status):
                    if self.sizes is None:
                        content, length = self._put_stream(encoder, file)
                    else:
                        pieces = Pieces(file, self.sizes)
                        content, length = self._put_chunks(encoder, pieces, submit, journal, Identity.of(status))
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

    def _whole(self, encoder: Encoder, digest: bytes) -> Content:
        return Content(digest, (), self._flags(encoder))

    def _put_whole(self, encoder: Encoder, plain: bytes) -> Content:
        return self._whole(encoder, self._put(encoder, plain, Kind.FILE))

    def _put(self, encoder: Encoder, plain: bytes, kind: Kind) -> bytes:
        stored = encoder.encode(plain)
        name = encoder.named(stored, kind)
        if not self.external:
            self.store.put(name, stored)
        return name.digest

    def _put_chunks(
        self, encoder: Encoder, pieces: Pieces, submit: Submit, journal: Journal, file: Identity
    ) -> tuple[Content, int]:
        """The format knows no file of exactly one chunk: that is a plain object. Source: format.md 6, "chunks"."""
        first = next(pieces, b"")
        encoder = self._packer.for_content(encoder, first)
        done = self._still_stored(encoder, journal.begun(file))
        if done:
            placing = _Placing(submit, partial(journal.note, file), list(done))
            pieces.go_to(placing.end)
        else:
            second = next(pieces, None)
            if second is None:
                return self._put_whole(encoder, first), len(first)
            placing = _Placing(submit, partial(journal.note, file))
            for piece in (first, second):
                placing.add(piece, partial(self._put, encoder, piece, Kind.PARTIAL))
        for piece in pieces:
            placing.add(piece, partial(self._put, encoder, piece, Kind.PARTIAL))
        return Content(None, placing.finish(), self._flags(encoder) | int(Flag.CHUNKED)), placing.end

    def _still_stored(self, encoder: Encoder, chunks: Sequence[Chunk]) -> tuple[Chunk, ...]:
        """Those at the beginning that the store has. One alone is none: it may be all of the file."""

        def is_stored(chunk: Chunk) -> bool:
            return self.store.has(ObjectId(encoder.algorithm, chunk.digest, Kind.PARTIAL))

        found = () if self.external else tuple(takewhile(is_stored, chunks))
        return found if len(found) > 1 else ()

    def _put_stream(self, encoder: Encoder, plain: Span) -> tuple[Content, int]:
        """A file of any size as one object, in constant memory."""
        import tempfile

        first = plain.read_fully(SAMPLE)
        encoder = self._packer.for_content(encoder, first)
        with tempfile.TemporaryFile() as stored:
            encoded = codec.encode_stream(
                cast("BinaryIO", Begun(first, plain)),
                stored,
                compression=encoder.compression,
                algorithm=encoder.algorithm,
                level=encoder.stream_level,
            )
            stored.seek(0)
            if not self.external:
                self.store.put(encoded.id, stored)
        return self._whole(encoder, encoded.id.digest), encoded.plain_size


class _Placing:
    """Chunks on their way to the store, in the order of the file; those that are there are noted."""

    def __init__(self, submit: Submit, note: Callable[[Chunk], None], done: list[Chunk] | None = None) -> None:
        self._submit = submit
        self._note = note
        self._done = done or []
        self._under_way: deque[tuple[int, int, Promise[bytes]]] = deque()
        self._last: tuple[bytes, Promise[bytes]] | None = None
        self.end = self._done[-1].offset + self._done[-1].size if self._done else 0
        """Bytes from the beginning of the file that have been placed."""

    def add(self, piece: bytes, put: Callable[[], bytes]) -> None:
        """Have the next piece stored by `put`; the very object that came before is not stored again."""
        if self._last is None or self._last[0] is not piece:
            self._last = (piece, self._submit(put))
        self._under_way.append((self.end, len(piece), self._last[1]))
        self.end += len(piece)
        while self._under_way and self._under_way[0][2].done():
            self._take()

    def finish(self) -> tuple[Chunk, ...]:
        """Wait for all of them."""
        while self._under_way:
            self._take()
        return tuple(self._done)

    def _take(self) -> None:
        offset, size, future = self._under_way.popleft()
        chunk = Chunk(offset, size, future.result())
        self._done.append(chunk)
        self._note(chunk)
