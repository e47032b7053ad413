"""What `stat` says of an entry: the catalog's row as the original shows it. Source: format.md 6, original.md 6."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from typing import NamedTuple

from swrepo.format.dirent import Dirent
from swrepo.format.variant import expand

_NO_ID = 0xFFFFFFFF
"""What a catalog holds (as -1) for the owner of directories that a publisher made up; no kernel takes it for one."""

_OVERFLOW_ID = 65534
"""What the kernel shows in its place: nobody."""


class Status(NamedTuple):
    """Fields of `struct stat`, without inode number and device. Times in seconds and nanoseconds."""

    mode: int
    nlink: int
    uid: int
    gid: int
    rdev: int
    size: int
    mtime: int
    mtime_ns: int


def status(entry: Dirent, environment: Mapping[str, str]) -> Status:
    """Owner, mode and times as published. A symlink has the length of its expanded target, a device none."""
    mode = entry.mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        size = entry.size
    elif stat.S_ISLNK(mode):
        size = len(expand(entry.symlink, environment))
    else:
        size = 0
    # A link count of 0 would tell programs that the file was deleted; old catalogs have it.
    nlink = entry.linkcount or 1
    uid, gid = _shown_id(entry.uid), _shown_id(entry.gid)
    return Status(mode, nlink, uid, gid, entry.rdev, size, entry.mtime, entry.mtime_ns or 0)


def _shown_id(stored: int) -> int:
    return _OVERFLOW_ID if stored == _NO_ID else stored
