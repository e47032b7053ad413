"""Every object of a storage read and compared with its name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.upkeep.catalog_check import Tell

_BLOCK = 1 << 20
_AHEAD = 256
_NAME = re.compile(r"([0-9a-f]{38}(?:-rmd160|-shake128)?)([A-Z]?)")
_LETTERS = frozenset(Kind) | {"L", "T"}
"""Micro catalogs and temporary objects too, which only old versions made."""


class _Found(NamedTuple):
    """An object's file, and what is wrong with it, if anything is."""

    path: str
    size: int
    fault: str


def scrub(storage: Path, tell: Tell, advance: Callable[[int, int], object], threads: int | None = None) -> int:
    """Check all files below `data`; how many objects there are. What `tell` gets for a path is that of the file."""
    count = 0
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        waiting: set[Future[_Found]] = set()

        def take(done: set[Future[_Found]]) -> int:
            for future in done:
                found = future.result()
                advance(1, found.size)
                if found.fault:
                    tell(os.fsencode(found.path), found.fault)
            return len(done)

        for path, name in _files(storage, tell):
            waiting.add(pool.submit(_checked, storage, path, name))
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
