"""The directories of caches and the disks below them: can they be written, is there room, what looks damaged."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from swrepo.cache.inventory import held
from swrepo.cache.quota import RESERVE_LIMIT, RESERVE_SHARE
from swrepo.cli.diagnosis.finding import Finding, error, ok, warning
from swrepo.cli.output import size_text
from swrepo.system.user import user_id

_SCAN = 2.0
"""Seconds for looking at objects; a large cache is looked at in part."""

_EMPTY_OBJECTS = 1
"""One object of no bytes is in order: the content of empty files."""


def cache(directory: Path, limit: int | None) -> Iterator[Finding]:
    """`limit`: bytes that it may take, None for no limit."""
    nearest = next(path for path in (directory, *directory.parents) if path.exists())
    refused = _refusal(nearest)
    if refused is not None:
        yield refused
        return
    if directory.exists():
        yield from _directory(directory)
    else:
        yield ok("cache", f"{directory} does not exist yet, and can be made")
    yield from _room(nearest, directory, limit)


def _refusal(nearest: Path) -> Finding | None:
    """Try to write there."""
    try:
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as failure:
        if failure.errno in (errno.ENOSPC, errno.EDQUOT):
            return error("disk", f"there is no room below {nearest}", f"swrepo cache evict 0; df -h {nearest}")
        if failure.errno == errno.EROFS:
            return error("cache", f"{nearest} is on a read-only file system", "choose another: CVMFS_CACHE_BASE=DIR")
        who = f"user {user_id()}"
        mend = f"chown -R {user_id()} {nearest} (as root), or CVMFS_CACHE_BASE=DIR"
        return error("cache", f"{who} cannot write to {nearest}: {failure.strerror}", mend)
    return None


def _directory(directory: Path) -> Iterator[Finding]:
    status = directory.stat()
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        yield error("cache", f"everybody may write to {directory}, and so replace objects", f"chmod o-w {directory}")
    elif status.st_uid != user_id():
        text = f"{directory} belongs to user {status.st_uid}"
        yield warning("cache", text, f"chown -R {user_id()} {directory}, or a cache of one's own")
    count, size, empty, is_all = _scan(directory)
    if empty > _EMPTY_OBJECTS:
        text = f"{empty} objects in {directory} are empty files, as a crash leaves them"
        yield warning("cache", text, f"swrepo fsck --cache {directory}")
    more = "" if is_all else " at least"
    yield ok("cache", f"{directory} can be written; {count:,} objects, {size_text(size)}{more}")


def _scan(directory: Path) -> tuple[int, int, int, bool]:
    """Number, bytes, number of empty ones, and whether all were looked at."""
    end = time.monotonic() + _SCAN
    count = size = empty = 0
    for item in held(directory):
        count, size, empty = count + 1, size + item.size, empty + (item.size == 0)
        if not count % 1000 and time.monotonic() > end:
            return count, size, empty, False
    return count, size, empty, True


def _room(nearest: Path, directory: Path, limit: int | None) -> Iterator[Finding]:
    found = os.statvfs(nearest)
    total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    reserve = min(total // RESERVE_SHARE, RESERVE_LIMIT)
    here = f"{size_text(free)} of {size_text(total)} are free where {directory} is"
    if found.f_files and not found.f_favail:
        yield error("disk", f"no file can be made where {directory} is: the file system has no inodes left", "df -i")
    elif free < reserve:
        text = f"{here}: less than the {size_text(reserve)} that are left to others, so nothing new is kept"
        yield warning("disk", text, f"free some: df -h {nearest}, or CVMFS_CACHE_BASE=DIR on another disk")
    elif limit is not None and limit > total:
        text = f"the limit of {size_text(limit)} is more than the disk of {directory} has ({size_text(total)})"
        yield warning("disk", text, f"CVMFS_QUOTA_LIMIT={total * 8 // 10 >> 20} in default.local")
    else:
        yield ok("disk", f"{here}; the cache may take {size_text(limit) if limit is not None else 'all of it'}")
