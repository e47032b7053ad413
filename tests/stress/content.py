"""What the stress repository holds in each revision: every byte says where and when it belongs."""

from __future__ import annotations

import os
import stat
from pathlib import Path

STABLE = tuple(b"/stable/f%02d" % number for number in range(12))
CHANGING = tuple(b"/%s/f%02d" % (where, number) for where in (b"changing", b"nested/deep") for number in range(8))
LINK = b"/link"
SHAPES = b"/shapes/thing"
BIG = b"/big"
SUBDIRECTORIES = b"/directories"
_BIG_NAMES = 700
"""Entries of a directory that does not fit into one of the kernel's buffers."""

_SIZES = (0, 40, 4096, 5000, 16384, 30_000, 100_000, 250_000)
"""Bytes: below and above pages and chunks."""


def version(path: bytes, revision: int) -> int:
    """The revision that changed a file last."""
    if path in STABLE:
        return 0
    every = 1 + CHANGING.index(path) % 5
    return revision - revision % every


def content(path: bytes, changed: int) -> bytes:
    """A file's bytes since the revision that changed it: its path and that revision, again and again."""
    index = (STABLE + CHANGING).index(path)
    size = _SIZES[(index + changed) % len(_SIZES)] + changed
    line = b"%s in revision %d\n" % (path, changed)
    return (line * (size // len(line) + 1))[:size]


def target(revision: int) -> bytes:
    """Where the symbolic link leads."""
    return b"revision-%d" % revision


def names(revision: int) -> frozenset[bytes]:
    """What is in the big directory."""
    return frozenset(b"entry-%04d" % n for n in range(_BIG_NAMES) if (n * 7 + revision) % 50)


def subdirectories(revision: int) -> frozenset[bytes]:
    """Directories that come and go; each holds a file of its name."""
    return frozenset(b"d%03d" % n for n in range(revision // 2, revision // 2 + 5))


def shape(revision: int) -> int:
    """What kind of entry stands at SHAPES."""
    return (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)[revision % 3]


def write(top: bytes, revision: int) -> None:
    """Make the tree of a revision from that of the one before (from nothing: revision 0)."""
    before = None if revision == 0 else revision - 1
    if before is None:
        for directory in (b"/stable", b"/changing", b"/nested/deep", b"/shapes", BIG, SUBDIRECTORIES):
            os.makedirs(top + directory)
        for marker in (b"/changing/.cvmfscatalog", b"/nested/.cvmfscatalog", b"/nested/deep/.cvmfscatalog"):
            _put(top + marker, b"")
    for path in STABLE + CHANGING:
        if before is None or version(path, before) != version(path, revision):
            _put(top + path, content(path, version(path, revision)))
    _exchange(top + BIG, names(before) if before is not None else frozenset(), names(revision))
    _exchange_directories(top + SUBDIRECTORIES, before, revision)
    if before is not None:
        os.unlink(top + LINK)
        _remove(top + SHAPES, shape(before))
    os.symlink(target(revision), top + LINK)
    _make(top + SHAPES, shape(revision), revision)


def _put(path: bytes, data: bytes) -> None:
    Path(os.fsdecode(path)).write_bytes(data)


def _exchange(directory: bytes, before: frozenset[bytes], after: frozenset[bytes]) -> None:
    for name in before - after:
        os.unlink(directory + b"/" + name)
    for name in after - before:
        _put(directory + b"/" + name, b"")


def _exchange_directories(directory: bytes, before: int | None, revision: int) -> None:
    there = subdirectories(before) if before is not None else frozenset()
    for name in there - subdirectories(revision):
        os.unlink(directory + b"/" + name + b"/" + name)
        os.rmdir(directory + b"/" + name)
    for name in subdirectories(revision) - there:
        os.mkdir(directory + b"/" + name)
        _put(directory + b"/" + name + b"/" + name, name)


def _make(path: bytes, kind: int, revision: int) -> None:
    if kind == stat.S_IFREG:
        _put(path, b"%d" % revision)
    elif kind == stat.S_IFDIR:
        os.mkdir(path)
        _put(path + b"/inside", b"%d" % revision)
    else:
        os.symlink(b"%d" % revision, path)


def _remove(path: bytes, kind: int) -> None:
    if kind == stat.S_IFDIR:
        os.unlink(path + b"/inside")
        os.rmdir(path)
    else:
        os.unlink(path)
