"""Paths inside a repository are bytes: `b""` is the root, others are `b"/a/b"`; catalogs know them by MD5.

Source: format.md 6, "Path hash".
"""

from __future__ import annotations

import hashlib
import struct

from swrepo.errors import FormatError

ROOT = b""
_KEY = struct.Struct("<qq")

PathKey = tuple[int, int]
"""(md5path_1, md5path_2): the halves of the MD5 digest as little-endian signed 64-bit integers."""

NO_PARENT: PathKey = (0, 0)


def path_key(path: bytes) -> PathKey:
    """The key under which a catalog keeps `path`."""
    first, second = _KEY.unpack(hashlib.md5(path, usedforsecurity=False).digest())
    return first, second


def normalise(path: bytes | str) -> bytes:
    """Turn what a person writes (`/`, `a/b/`, `/a//b`) into the repository's form; FormatError for `..` or NUL."""
    raw = path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    if b".." in parts or b"\0" in raw:
        raise FormatError(f"not a path inside a repository: {raw!r}")
    return b"".join(b"/" + part for part in parts)


def parent(path: bytes) -> bytes:
    """The directory that holds `path` (the root's is the root)."""
    return path.rpartition(b"/")[0]


def basename(path: bytes) -> bytes:
    """The last component; empty for the root."""
    return path.rpartition(b"/")[2]


def join(directory: bytes, name: bytes) -> bytes:
    """The path of `name` in `directory`."""
    return directory + b"/" + name


def is_within(path: bytes, directory: bytes) -> bool:
    """Whether `path` is `directory` or lies below it."""
    return path == directory or path.startswith(directory + b"/")


def ancestors(path: bytes) -> list[bytes]:
    """The root and every directory down to, and with, `path` itself, top first."""
    found = [ROOT]
    for part in path.split(b"/")[1:]:
        found.append(join(found[-1], part))
    return found
