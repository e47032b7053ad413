"""Contents that come once and in order, as the members of an archive do, into the object store.

The calling thread reads, and stores little files; a pool hashes, compresses and stores the others. What waits is
bounded: a batch of small files, or one chunk of a large one, for each thread and one more.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import BinaryIO, NamedTuple, Self, TypeVar, cast

from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk, Flag, content_flags
from swrepo.format.object_id import Kind, ObjectId
from swrepo.objects import codec
from swrepo.objects.batch import ObjectBatch
from swrepo.objects.chunker import ChunkSizes
from swrepo.objects.store import ObjectStore
from swrepo.publish.encoder import Encoder
from swrepo.publish.known_contents import KnownContents
from swrepo.publish.member import MemberContent
from swrepo.publish.packing import SAMPLE, Packer, Packing
from swrepo.publish.pieces import Begun, Pieces
from swrepo.publish.settings import RepositorySettings
from swrepo.publish.staged import Content

_BATCH_FILES = 64
_BATCH_SIZE = 2 << 20
_LITTLE = 8 << 10
"""Bytes of a file, in the mean of a batch, up to which system calls take most of the time (docs/adr/0017)."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Warehouse:
    """Where contents go, and how. Safe from any thread."""

    store: ObjectStore
    encoder: Encoder
    sizes: ChunkSizes | None
    packing: Packing
    external: bool
    known: KnownContents
    packer: Packer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        encoder = replace(self.encoder, compression=Compression.NONE) if self.external else self.encoder
        object.__setattr__(self, "packer", Packer(encoder, self.packing))

    @classmethod
    def of(cls, settings: RepositorySettings, store: ObjectStore, known: KnownContents) -> Self:
        return cls(store, settings.encoder, settings.chunks, settings.packing, settings.external, known)

    @property
    def whole_limit(self) -> int:
        """Bytes of the largest file that is held in one piece."""
        return (self.sizes or ChunkSizes()).minimum

    def flags(self, encoder: Encoder) -> int:
        """Those of a file that is one object."""
        external = int(Flag.EXTERNAL) if self.external else 0
        return int(Flag.FILE) | content_flags(encoder.algorithm, encoder.compression) | external

    def put(self, encoder: Encoder, plain: bytes, kind: Kind) -> bytes:
        """Have an object with these plain bytes; its digest."""
        key = self.known.key(plain, encoder, kind)
        if not self.external:
            digest = self.known.find(key)
            if digest is not None and self.store.has(ObjectId(encoder.algorithm, digest, kind)):
                return digest
        stored = encoder.encode(plain)
        name = encoder.named(stored, kind)
        if not self.external:
            self.store.put(name, stored)
            self.known.add(key, name.digest)
        return name.digest

    def put_whole(self, path: bytes, plain: bytes) -> Content:
        """A small file."""
        encoder = self.packer.for_content(self.packer.for_path(path), plain)
        return Content(self.put(encoder, plain, Kind.FILE), (), self.flags(encoder))

    def put_stream(self, encoder: Encoder, start: bytes, rest: MemberContent) -> Content:
        """A file of any size as one object, where files are not cut."""
        encoder = self.packer.for_content(encoder, start)
        with tempfile.TemporaryFile() as stored:
            encoded = codec.encode_stream(
                cast("BinaryIO", Begun(start, rest)),
                stored,
                compression=encoder.compression,
                algorithm=encoder.algorithm,
                level=encoder.stream_level,
            )
            stored.seek(0)
            if not self.external:
                self.store.put(encoded.id, stored)
        return Content(encoded.id.digest, (), self.flags(encoder))


class Pending(NamedTuple):
    """A content on its way: `ready` without waiting, `take` with it."""

    ready: Callable[[], bool]
    take: Callable[[], Content]


@dataclass(slots=True)
class _Batch:
    """Small files that one thread stores, in order."""

    tasks: list[tuple[bytes, bytes]] = field(default_factory=list)
    size: int = 0
    future: Future[list[Content]] | None = None


class Porter:
    """Brings contents to the warehouse. For one calling thread; close it (it is a context manager)."""

    def __init__(self, warehouse: Warehouse, threads: int | None = None) -> None:
        count = threads or len(os.sched_getaffinity(0))
        self._warehouse = warehouse
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="archive")
        self._slots = threading.BoundedSemaphore(count + 1)
        self._open = _Batch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def begin(self, path: bytes, size: int, content: MemberContent) -> Pending:
        """Read all of a content, which is done when this returns, and have it stored."""
        if size <= self._warehouse.whole_limit:
            return self._small(path, content.read_fully(size))
        encoder = self._warehouse.packer.for_path(path)
        if self._warehouse.sizes is None:
            stored = self._warehouse.put_stream(encoder, content.read_fully(SAMPLE), content)
            return Pending(lambda: True, lambda: stored)
        return self._large(encoder, content, self._warehouse.sizes)

    def _small(self, path: bytes, plain: bytes) -> Pending:
        batch = self._open
        place = len(batch.tasks)
        batch.tasks.append((path, plain))
        batch.size += len(plain)
        if len(batch.tasks) >= _BATCH_FILES or batch.size >= _BATCH_SIZE:
            self._send()

        def take() -> Content:
            if batch.future is None:
                self._send()
            assert batch.future is not None  # noqa: S101 - the line above
            return batch.future.result()[place]

        return Pending(lambda: batch.future is not None and batch.future.done(), take)

    def _send(self) -> None:
        batch, self._open = self._open, _Batch()
        tasks, batch.tasks = batch.tasks, []  # so that the bytes go when they are stored
        put = self._warehouse.put_whole

        def store() -> list[Content]:
            return [put(path, plain) for path, plain in tasks]

        batch.future = _done(store) if self._is_little(batch.size, len(tasks)) else self._submit(store)

    def _is_little(self, size: int, count: int) -> bool:
        """Whether whoever reads stores them as well: threads would mostly wait for each other's system calls."""
        return size <= _LITTLE * count and isinstance(self._warehouse.store, ObjectBatch)

    def _submit(self, function: Callable[[], _T]) -> Future[_T]:
        self._slots.acquire()  # given back by whoever has done the work
        future = self._pool.submit(function)
        future.add_done_callback(lambda _: self._slots.release())
        return future

    def _large(self, encoder: Encoder, content: MemberContent, sizes: ChunkSizes) -> Pending:
        """The format knows no file of exactly one chunk: that is a plain object. Source: format.md 6, "chunks"."""
        warehouse, pieces = self._warehouse, Pieces(content, sizes)
        first = next(pieces, b"")
        encoder = warehouse.packer.for_content(encoder, first)
        second = next(pieces, None)
        if second is None:
            whole = self._submit(
                lambda: Content(warehouse.put(encoder, first, Kind.FILE), (), warehouse.flags(encoder))
            )
            return Pending(whole.done, whole.result)
        placed: list[tuple[int, Future[bytes]]] = []
        last: tuple[bytes, Future[bytes]] | None = None
        for piece in _chain(first, second, pieces):
            if last is None or last[0] is not piece:  # zeros of a hole come as the very same object
                last = (piece, self._submit(_putting(warehouse, encoder, piece)))
            placed.append((len(piece), last[1]))
        flags = warehouse.flags(encoder) | int(Flag.CHUNKED)
        return Pending(
            lambda: all(future.done() for _, future in placed), lambda: Content(None, _chunks(placed), flags)
        )


def _done(function: Callable[[], _T]) -> Future[_T]:
    """The future of what was done at once."""
    future: Future[_T] = Future()
    try:
        future.set_result(function())
    except Exception as error:  # noqa: BLE001 - whoever takes the result gets it
        future.set_exception(error)
    return future


def _chain(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


def _putting(warehouse: Warehouse, encoder: Encoder, piece: bytes) -> Callable[[], bytes]:
    return lambda: warehouse.put(encoder, piece, Kind.PARTIAL)


def _chunks(placed: list[tuple[int, Future[bytes]]]) -> tuple[Chunk, ...]:
    found, offset = [], 0
    for size, future in placed:
        found.append(Chunk(offset, size, future.result()))
        offset += size
    return tuple(found)
