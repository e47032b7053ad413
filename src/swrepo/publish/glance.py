"""What a directory looks like from outside: names, inode numbers and ctimes of all that it holds, in 64 bits.

Whatever is done to a file changes its ctime, which nobody can set, or exchanges its inode. So a directory that has the
mark of last time holds what it held then, and no row of a catalog need be read to know it. Its own ctime is part of the
mark: it tells of what was moved away and came back.
"""

from __future__ import annotations

import os
from array import array
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

_MOST = 20_000
"""Entries of a directory that are held at a time, of a kilobyte each; larger ones are never glanced at."""

NO_MARK = 0
"""Equal to nothing."""

_BYTES = 8


class Glance(NamedTuple):
    """A directory's mark, what it holds, and when it or the last of that was touched."""

    mark: int
    entries: list[os.DirEntry[bytes]]
    newest_ns: int


def glance(directory: bytes, own: os.stat_result) -> Glance | None:
    """Look at the directory, whose status is `own`; None where a closer look is needed: too many entries, or some are
    out of reach.
    """
    try:
        with os.scandir(directory) as found:
            entries = list(islice(found, _MOST + 1))
        if len(entries) > _MOST:
            return None
        statuses = [entry.stat(follow_symlinks=False) for entry in entries]
    except OSError:
        return None
    times = array("q", [status.st_ctime_ns for status in statuses])
    times.append(own.st_ctime_ns)
    digest = blake2b(b"/".join([entry.name for entry in entries]), digest_size=_BYTES)
    digest.update(array("Q", [status.st_ino for status in statuses]))
    digest.update(times)
    mark = int.from_bytes(digest.digest(), "little") or 1
    return Glance(mark, entries, max(times))
