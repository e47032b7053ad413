"""What makes the next revision differ from the last one: values that travel from a scan to the catalogs.

They come in the order of the tree: a directory before what it holds, and `Left` when all of it has been seen. A path
whose type changes between directory and something else comes as `Removed` and then `Put`.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import NamedTuple

from swrepo.format.dirent import Chunk, Dirent


class Identity(NamedTuple):
    """What must be equal for a file's content to be taken as unchanged. Times in nanoseconds."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Put(NamedTuple):
    """The path shall have this entry.

    `read` is the file whose content has to be read before `entry` is complete (the digest is missing). `group` is the
    same for all names of one file in one directory, and `regrouped` says that these are not the names of last time.
    `nested` is whether a directory starts a catalog of its own. `chunks` belong to a chunked file.
    """

    path: bytes
    entry: Dirent
    old: Dirent | None = None
    read: Identity | None = None
    group: bytes | None = None
    regrouped: bool = False
    nested: bool = False
    chunks: tuple[Chunk, ...] = ()


class Kept(NamedTuple):
    """A directory whose own entry is as it was; what it holds may follow."""

    path: bytes
    old: Dirent | None
    nested: bool


class Removed(NamedTuple):
    """The path, with everything below it, shall be gone."""

    path: bytes
    old: Dirent


class Left(NamedTuple):
    """All of a directory that starts a catalog has been seen."""

    path: bytes


Change = Put | Kept | Removed | Left


class Verb(StrEnum):
    """How a difference is called where people read it."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Difference(NamedTuple):
    """One line of a report. `mode` is that of the new entry, or of the one that goes; sizes are of regular files."""

    verb: Verb
    path: bytes
    size: int
    mode: int = 0
    size_before: int = 0


def difference(change: Change) -> Difference | None:
    """How a change reads in a report; None for those that only structure the stream."""
    if isinstance(change, Removed):
        return Difference(Verb.REMOVED, change.path, 0, change.old.mode, _size(change.old))
    if isinstance(change, Put):
        verb = Verb.ADDED if change.old is None else Verb.CHANGED
        return Difference(verb, change.path, _size(change.entry), change.entry.mode, _size(change.old))
    return None


def _size(entry: Dirent | None) -> int:
    return entry.size if entry is not None and entry.is_regular else 0
