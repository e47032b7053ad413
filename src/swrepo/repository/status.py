"""What `stat` says of an entry: the catalog's row as the original shows it. Source: format.md 6, original.md 6."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from typing import NamedTuple

from swrepo.format.dirent import Dirent
from swrepo.format.variant import expand


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
    return Status(mode, nlink, entry.uid, entry.gid, entry.rdev, size, entry.mtime, entry.mtime_ns or 0)
