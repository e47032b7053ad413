"""A member of an archive: what it says of itself, and its bytes, which come once and in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from swrepo.format.tar import Sparse

_READ = 1 << 20

Read = Callable[[int], bytes]
"""Gives up to so many bytes, and none at the end."""


class Member(NamedTuple):
    """A member of an archive; its `content` is to be read before the next one. `is_link`: another name of `link`."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    mtime_ns: int
    link: bytes
    is_link: bool
    rdev: int
    xattrs: Mapping[bytes, bytes]
    content: MemberContent


class MemberContent:
    """The bytes of a member, holes filled with zeros."""

    def __init__(self, take: Read, sparse: Sparse) -> None:
        self._take = take
        self._sparse = sparse
        self._next = 0
        self._at = 0

    def read(self, size: int) -> bytes:
        """Up to `size` more bytes; b"" at the end. FormatError where the archive has fewer."""
        start, length = self._segment()
        if self._at < start:
            data = bytes(min(size, start - self._at, _READ))
        elif not length:
            return b""
        else:
            data = self._take(min(size, start + length - self._at))
        self._at += len(data)
        return data

    def read_fully(self, size: int) -> bytes:
        """The same, fewer bytes only at the end."""
        parts = []
        while size and (part := self.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def skip_hole(self, size: int) -> bool:
        """Pass over the next `size` bytes, if there are that many and all of them are a hole."""
        start, _ = self._segment()
        if start - self._at < size:
            return False
        self._at += size
        return True

    def go_to(self, offset: int) -> None:
        """There is no way to elsewhere."""
        raise RuntimeError(f"a member of an archive is read in order, not from {offset}")

    def _segment(self) -> tuple[int, int]:
        """The next data; at the end a segment of nothing."""
        sparse = self._sparse
        while self._next < len(sparse.offsets):
            start, length = sparse.offsets[self._next], sparse.lengths[self._next]
            if self._at < start + length:
                return start, length
            self._next += 1
        return sparse.size, 0
