"""One row of a catalog as a value: mode, times, owner, flags, content. Source: format.md 6.

A NamedTuple and not a dataclass, because a listing makes one for each of a million entries.
"""

from __future__ import annotations

import stat
from enum import IntFlag
from typing import NamedTuple

from swrepo.errors import FormatError
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind, ObjectId


class Flag(IntFlag):
    """Bits of the `flags` column; bits 8-10 and 11-13 hold numbers, see `Dirent.algorithm` and `.compression`."""

    DIRECTORY = 0x1
    NESTED_MOUNTPOINT = 0x2
    FILE = 0x4
    SYMLINK = 0x8
    SPECIAL = 0x10
    NESTED_ROOT = 0x20
    CHUNKED = 0x40
    EXTERNAL = 0x80
    BIND_MOUNTPOINT = 0x4000
    HIDDEN = 0x8000
    DIRECT_IO = 0x10000
    BUNDLE_TRIGGER = 0x20000


_ALGORITHM_SHIFT = 8
_COMPRESSION_SHIFT = 11
_NUMBER_MASK = 0x7
_LINKCOUNT_MASK = 0xFFFFFFFF
_GROUP_SHIFT = 32

# int, not IntFlag, in the hot path: `flags & Flag.X` on an IntFlag costs a microsecond.
_DIRECTORY, _SYMLINK, _SPECIAL = int(Flag.DIRECTORY), int(Flag.SYMLINK), int(Flag.SPECIAL)


def content_flags(algorithm: Algorithm, compression: Compression) -> int:
    """The bits that say how a file's content is hashed and stored."""
    return (algorithm - 1) << _ALGORITHM_SHIFT | compression << _COMPRESSION_SHIFT


class Chunk(NamedTuple):
    """A piece of a chunked file: plain bytes `offset` to `offset + size`, stored as object `digest` (kind `P`)."""

    offset: int
    size: int
    digest: bytes


class Dirent(NamedTuple):
    """A directory entry, columns as stored.

    `size` holds the device number for block and character devices. `mtime_ns` is None where the catalog has no
    nanoseconds. `hardlinks` is (group << 32) | link count. `digest` is None for everything but plain files that have a
    whole-file object. `rowid` is the catalog's row number, 0 in an entry that is not from a catalog.
    """

    name: bytes
    mode: int
    size: int
    mtime: int
    mtime_ns: int | None
    uid: int
    gid: int
    flags: int
    hardlinks: int
    symlink: bytes
    digest: bytes | None
    xattr_blob: bytes | None
    rowid: int = 0

    @property
    def is_directory(self) -> bool:
        return bool(self.flags & _DIRECTORY)

    @property
    def is_symlink(self) -> bool:
        return bool(self.flags & _SYMLINK)

    @property
    def is_special(self) -> bool:
        """A fifo, socket or device; also where an old catalog does not flag it."""
        return bool(self.flags & _SPECIAL) or not (
            self.flags & _DIRECTORY or stat.S_ISREG(self.mode) or self.is_symlink
        )

    @property
    def is_regular(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_nested_mountpoint(self) -> bool:
        return bool(self.flags & 0x2)

    @property
    def is_nested_root(self) -> bool:
        return bool(self.flags & 0x20)

    @property
    def is_bind_mountpoint(self) -> bool:
        return bool(self.flags & 0x4000)

    @property
    def is_chunked(self) -> bool:
        return bool(self.flags & 0x40)

    @property
    def is_external(self) -> bool:
        return bool(self.flags & 0x80)

    @property
    def algorithm(self) -> Algorithm:
        """Hash algorithm of the content; FormatError for a number that the format does not know."""
        number = (self.flags >> _ALGORITHM_SHIFT & _NUMBER_MASK) + 1
        try:
            return Algorithm(number)
        except ValueError as error:
            raise FormatError(f"unknown hash algorithm {number} of {self.name!r}") from error

    @property
    def compression(self) -> Compression:
        """How the content is stored; FormatError for a number that the format does not know."""
        number = self.flags >> _COMPRESSION_SHIFT & _NUMBER_MASK
        try:
            return Compression(number)
        except ValueError as error:
            raise FormatError(f"unknown compression {number} of {self.name!r}") from error

    @property
    def content(self) -> ObjectId | None:
        """The whole-file object, or None."""
        return None if self.digest is None else ObjectId(self.algorithm, self.digest, Kind.FILE)

    def with_content(self, digest: bytes | None, flags: int) -> Dirent:
        """The entry with other content."""
        # `_replace` takes seven times as long, and a publication does this to every file.
        return tuple.__new__(Dirent, (*self[:7], flags, *self[8:10], digest, *self[11:]))

    def chunk_id(self, chunk: Chunk) -> ObjectId:
        """The object that holds `chunk` of this file."""
        return ObjectId(self.algorithm, chunk.digest, Kind.PARTIAL)

    @property
    def linkcount(self) -> int:
        return self.hardlinks & _LINKCOUNT_MASK

    @property
    def hardlink_group(self) -> int:
        """Number of the hard link group within the catalog; 0 for a file with one name."""
        return self.hardlinks >> _GROUP_SHIFT & _LINKCOUNT_MASK

    @property
    def is_device(self) -> bool:
        return stat.S_ISBLK(self.mode) or stat.S_ISCHR(self.mode)

    @property
    def rdev(self) -> int:
        """Device number (Linux dev_t) of a block or character device, else 0."""
        return self.size if self.is_device else 0


def device_numbers(rdev: int) -> tuple[int, int]:
    """Major and minor number of a Linux dev_t, on whatever system."""
    major = (rdev >> 8 & 0xFFF) | (rdev >> 32 & 0xFFFFF000)
    minor = (rdev & 0xFF) | (rdev >> 12 & 0xFFFFFF00)
    return major, minor
