"""What lies in a cache's directory: its objects, with their sizes and the time at which each was last used.

Everything else in the directory (`txn`, sockets, the original's `cachedb`) is nobody's object and is never listed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_BLOCK = 4096
_VOLATILE = stat.S_ISVTX
"""The sticky bit, which means nothing on a file, is seen with its times and sizes, and stays when it is read."""

_PREFIX = re.compile(r"[0-9a-f]{2}\Z")
_NAME = re.compile(r"[0-9a-f]{38}(-[a-z0-9]{1,16})?\Z")


class Held(NamedTuple):
    """An object's file: time of the last use (the access time), bytes, and `XX/REST`. Sorts as it is to be evicted."""

    is_kept_longer: bool
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
                        is_volatile = status.st_mode & _VOLATILE
                        yield Held(not is_volatile, status.st_atime, status.st_size, f"{directory}/{entry.name}")


def mark_volatile(descriptor: int) -> None:
    """Let an object be the first to be evicted. A system that has no such mode treats it like the others."""
    if hasattr(os, "fchmod"):
        with suppress(OSError):
            os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | _VOLATILE)


def _directories(root: Path) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return sorted(
                entry.name for entry in entries if _PREFIX.match(entry.name) and entry.is_dir(follow_symlinks=False)
            )
    except FileNotFoundError:
        return []


def is_filled(root: Path) -> bool:
    """Whether somebody has used the directory `root` as a cache."""
    return bool(_directories(root)) or any(root.glob("cvmfschecksum.*"))
