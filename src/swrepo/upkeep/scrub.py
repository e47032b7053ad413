"""Every object of a storage read and compared with its name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from io import RawIOBase
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, cast

from swrepo.errors import CorruptObject, ObjectNotFound
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.objects.store import Want
from swrepo.upkeep.catalog_check import Tell

_BLOCK = 1 << 20
_BATCH = 64
"""Objects that a thread takes at once: handing over each small file by itself costs more than to read it."""
_AHEAD = 4
"""Batches that wait for each thread."""
_READERS = 8
"""Threads, which mostly wait for a disk. Sets of 22,000 small files that were not in memory took 3 to 9 s with eight of
them and 10 to 56 s with two, in turn, on a disk that others used too."""
_CONNECTIONS = 8
_LARGEST = 1 << 40
"""Bytes of an object, far beyond any: what is read is hashed and let go."""
_NAME = re.compile(r"([0-9a-f]{38}(?:-rmd160|-shake128)?)([A-Z]?)")
_LETTERS = frozenset(Kind) | {"L", "T"}
"""Micro catalogs and temporary objects too, which only old versions made."""


class _Found(NamedTuple):
    """What some objects are: how many, their bytes, and what is wrong with those in which something is, by path."""

    objects: int
    size: int
    faults: list[tuple[str, str]]


class ListedObjects(Protocol):
    """A storage that tells what it has."""

    def list(self) -> Iterator[ObjectId]: ...

    def fetch(self, want: Want, out: BinaryIO) -> None: ...


Advance = Callable[[int, int], object]

_File = tuple[str, ObjectId]
"""A file's path below the storage, and the object that it has to be."""

_OTHER_BYTES = "its bytes do not match its name"


def scrub(storage: Path, tell: Tell, advance: Advance, threads: int | None = None) -> int:
    """Check all files below `data`; how many objects there are. What `tell` gets for a path is that of the file."""
    root = os.fspath(storage)
    jobs = (partial(_checked, root, batch) for batch in _batches(_files(root, tell)))
    return _do(jobs, tell, advance, threads or max(_READERS, os.cpu_count() or 1))


def scrub_bucket(storage: ListedObjects, tell: Tell, advance: Advance) -> int:
    """The same for a storage in which no files can be opened: each object is fetched. Others' files are passed over."""
    return _do((partial(_fetched, storage, name) for name in storage.list()), tell, advance, _CONNECTIONS)


def _do(jobs: Iterable[Callable[[], _Found]], tell: Tell, advance: Advance, threads: int) -> int:
    count = 0
    with ThreadPoolExecutor(threads) as pool:
        waiting: set[Future[_Found]] = set()

        def take(done: set[Future[_Found]]) -> int:
            counted = 0
            for future in done:
                found = future.result()
                counted += found.objects
                advance(found.objects, found.size)
                for path, fault in found.faults:
                    tell(os.fsencode(path), fault)
            return counted

        for job in jobs:
            waiting.add(pool.submit(job))
            if len(waiting) >= _AHEAD * threads:
                done, waiting = wait(waiting, return_when="FIRST_COMPLETED")
                count += take(done)
        count += take(wait(waiting).done)
    return count


def _batches(files: Iterator[_File]) -> Iterator[list[_File]]:
    while batch := list(islice(files, _BATCH)):
        yield batch


def _directories(root: str) -> Iterator[str]:
    for number in range(256):
        directory = f"{root}/data/{number:02x}"
        if os.path.isdir(directory):
            yield directory


def _files(root: str, tell: Tell) -> Iterator[_File]:
    for directory in _directories(root):
        prefix = directory[-2:]
        with os.scandir(directory) as entries:
            for entry in entries:
                path, match = f"data/{prefix}/{entry.name}", _NAME.fullmatch(entry.name)
                if match is None or match[2] not in _LETTERS or not entry.is_file(follow_symlinks=False):
                    tell(os.fsencode(path), "it is no object, and nothing else belongs there")
                else:
                    yield path, ObjectId.parse(prefix + match[1])


def _checked(root: str, batch: list[_File]) -> _Found:
    buffer, size, faults = memoryview(bytearray(_BLOCK)), 0, []
    for path, name in batch:
        hasher = Algorithm(name.algorithm).hasher()
        try:
            descriptor = os.open(f"{root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                while length := os.readv(descriptor, (buffer,)):
                    hasher.update(buffer[:length])
                    size += length
            finally:
                os.close(descriptor)
        except OSError as error:
            faults.append((path, f"it cannot be read: {error.strerror}"))
            continue
        if hasher.digest() != name.digest:
            faults.append((path, _OTHER_BYTES))
    return _Found(len(batch), size, faults)


class _Nowhere(RawIOBase):
    """Counts what is written to it."""

    size = 0

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self.size += len(data)
        return len(data)


def _fetched(storage: ListedObjects, name: ObjectId) -> _Found:
    out = _Nowhere()
    try:
        # As it is stored: only then a certificate or a chunk can be told from its bytes alone.
        storage.fetch(Want(name, Compression.NONE, limit=_LARGEST), cast("BinaryIO", out))
    except CorruptObject:
        return _Found(1, out.size, [(name.path, _OTHER_BYTES)])
    except ObjectNotFound:  # collected meanwhile
        return _Found(1, 0, [])
    return _Found(1, out.size, [])
