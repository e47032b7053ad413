"""Every object of a storage read and compared with its name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, cast

from swrepo.errors import CorruptObject, ObjectNotFound
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.objects.store import Want
from swrepo.upkeep.catalog_check import Tell

_BLOCK = 1 << 20
_AHEAD = 256
_CONNECTIONS = 8
_LARGEST = 1 << 40
"""Bytes of an object, far beyond any: what is read is hashed and let go."""
_NAME = re.compile(r"([0-9a-f]{38}(?:-rmd160|-shake128)?)([A-Z]?)")
_LETTERS = frozenset(Kind) | {"L", "T"}
"""Micro catalogs and temporary objects too, which only old versions made."""


class _Found(NamedTuple):
    """An object's file, and what is wrong with it, if anything is."""

    path: str
    size: int
    fault: str


class ListedObjects(Protocol):
    """A storage that tells what it has."""

    def list(self) -> Iterator[ObjectId]: ...

    def fetch(self, want: Want, out: BinaryIO) -> None: ...


Advance = Callable[[int, int], object]


def scrub(storage: Path, tell: Tell, advance: Advance, threads: int | None = None) -> int:
    """Check all files below `data`; how many objects there are. What `tell` gets for a path is that of the file."""
    jobs = (partial(_checked, storage, path, name) for path, name in _files(storage, tell))
    return _do(jobs, tell, advance, threads or os.cpu_count() or 1)


def scrub_bucket(storage: ListedObjects, tell: Tell, advance: Advance) -> int:
    """The same for a storage in which no files can be opened: each object is fetched. Others' files are passed over."""
    return _do((partial(_fetched, storage, name) for name in storage.list()), tell, advance, _CONNECTIONS)


def _do(jobs: Iterable[Callable[[], _Found]], tell: Tell, advance: Advance, threads: int) -> int:
    count = 0
    with ThreadPoolExecutor(threads) as pool:
        waiting: set[Future[_Found]] = set()

        def take(done: set[Future[_Found]]) -> int:
            for future in done:
                found = future.result()
                advance(1, found.size)
                if found.fault:
                    tell(os.fsencode(found.path), found.fault)
            return len(done)

        for job in jobs:
            waiting.add(pool.submit(job))
            if len(waiting) >= _AHEAD:
                done, waiting = wait(waiting, return_when="FIRST_COMPLETED")
                count += take(done)
        count += take(wait(waiting).done)
    return count


def _files(storage: Path, tell: Tell) -> Iterator[tuple[str, ObjectId]]:
    for number in range(256):
        prefix = f"{number:02x}"
        directory = storage / "data" / prefix
        if not directory.is_dir():
            continue
        with os.scandir(directory) as entries:
            for entry in entries:
                path, match = f"data/{prefix}/{entry.name}", _NAME.fullmatch(entry.name)
                if match is None or match[2] not in _LETTERS or not entry.is_file(follow_symlinks=False):
                    tell(os.fsencode(path), "it is no object, and nothing else belongs there")
                else:
                    yield path, ObjectId.parse(prefix + match[1])


def _checked(storage: Path, path: str, name: ObjectId) -> _Found:
    hasher, size = Algorithm(name.algorithm).hasher(), 0
    try:
        with open(storage / path, "rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                hasher.update(block)
                size += len(block)
    except OSError as error:
        return _Found(path, size, f"it cannot be read: {error.strerror}")
    return _Found(path, size, "" if hasher.digest() == name.digest else "its bytes do not match its name")


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
        return _Found(name.path, out.size, "its bytes do not match its name")
    except ObjectNotFound:  # collected meanwhile
        return _Found(name.path, 0, "")
    return _Found(name.path, out.size, "")
