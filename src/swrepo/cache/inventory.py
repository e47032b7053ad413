"""What lies in a cache's directory: its objects, with their sizes and the time at which each was last used.

Everything else in the directory (`txn`, sockets, the original's `cachedb`) is nobody's object and is never listed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_BLOCK = 4096
_PREFIX = re.compile(r"[0-9a-f]{2}\Z")
_NAME = re.compile(r"[0-9a-f]{38}(-[a-z0-9]{1,16})?\Z")


class Held(NamedTuple):
    """An object's file: time of the last use (the access time), bytes, and `XX/REST`. Sorts by use."""

    used: float
    size: int
    path: str


def footprint(size: int) -> int:
    """Bytes of disk that a file of `size` takes: file systems give whole blocks."""
    return -(-size // _BLOCK) * _BLOCK


def held(root: Path) -> Iterator[Held]:
    """Every object in the cache at `root`, in no order; others may come and go meanwhile. No link is followed."""
    for directory in _directories(root):
        with suppress(OSError), os.scandir(root / directory) as entries:
            for entry in entries:
                if _NAME.match(entry.name) and entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        yield Held(status.st_atime, status.st_size, f"{directory}/{entry.name}")


def _directories(root: Path) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return sorted(
                entry.name for entry in entries if _PREFIX.match(entry.name) and entry.is_dir(follow_symlinks=False)
            )
    except FileNotFoundError:
        return []
