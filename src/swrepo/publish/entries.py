"""A file of the work tree as a catalog entry, all but its content. Source: format.md 6."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from swrepo.config.owner_map import OwnerMap
from swrepo.format import xattr
from swrepo.format.compression import Compression
from swrepo.format.dirent import Dirent, Flag, content_flags
from swrepo.format.object_id import Algorithm

DIRECTORY_SIZE = 4096
"""What every directory's row says, so that catalogs do not depend on the publisher's file system."""

_NANOSECONDS = 1_000_000_000
_DIRECTORY = int(Flag.DIRECTORY)
_FILE = int(Flag.FILE)
_SYMLINK = int(Flag.FILE | Flag.SYMLINK)
_SPECIAL = int(Flag.FILE | Flag.SPECIAL)

_STRUCTURE = ~int(Flag.NESTED_MOUNTPOINT | Flag.NESTED_ROOT | Flag.BUNDLE_TRIGGER)
"""Flags without those that say where catalogs begin: they follow from the tree and not from the file."""

_NO_ATTRIBUTES = frozenset((errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENODATA))


@dataclass(frozen=True, slots=True)
class EntryRules:
    """What of a file goes into the catalogs, and how its content is named and stored."""

    algorithm: Algorithm = Algorithm.SHA1
    compression: Compression = Compression.ZLIB
    mtime_ns: bool = True
    xattrs: bool = True
    ignore_special: bool = False
    separate_links: bool = True
    """Names of one file in several directories become files of their own; else they are an error."""
    uids: OwnerMap | None = None
    gids: OwnerMap | None = None

    @property
    def signature(self) -> str:
        """Equal for rules that make equal entries."""
        return repr(self)

    def ignores(self, mode: int) -> bool:
        """Whether a file of this st_mode is as good as not there."""
        return self.ignore_special and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))

    def uid(self, status: os.stat_result) -> int:
        """Whom the file belongs to where it is published."""
        return status.st_uid if self.uids is None else self.uids(status.st_uid)

    def gid(self, status: os.stat_result) -> int:
        """See `uid`."""
        return status.st_gid if self.gids is None else self.gids(status.st_gid)

    @property
    def file_flags(self) -> int:
        """Flags of a regular file that is not chunked."""
        return _FILE | content_flags(self.algorithm, self.compression)

    def entry(self, name: bytes, where: bytes, status: os.stat_result, links: int) -> Dirent:
        """The entry of the file at `where` on disk; a regular one still lacks its digest. Raises OSError, FormatError.

        `links` is the number of names in its directory, for a directory 2 and one for each directory in it.
        """
        mode = status.st_mode
        symlink, flags, size = b"", _SPECIAL, 0
        if stat.S_ISREG(mode):
            flags, size = self.file_flags, status.st_size
        elif stat.S_ISDIR(mode):
            flags, size = _DIRECTORY, DIRECTORY_SIZE
        elif stat.S_ISLNK(mode):
            symlink = os.readlink(where)
            flags, size = _SYMLINK, len(symlink)
        elif stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            size = status.st_rdev
        seconds, nanoseconds = divmod(status.st_mtime_ns, _NANOSECONDS)
        return Dirent(
            name=name,
            mode=mode,
            size=size,
            mtime=seconds,
            mtime_ns=nanoseconds if self.mtime_ns else None,
            uid=self.uid(status),
            gid=self.gid(status),
            flags=flags,
            hardlinks=links,
            symlink=symlink,
            digest=None,
            xattr_blob=xattr.encode(attributes(where)) if self.xattrs else None,
        )

    def restamp(self, entry: Dirent, status: os.stat_result) -> Dirent:
        """The entry of a regular file that was written to after its entry was made."""
        seconds, nanoseconds = divmod(status.st_mtime_ns, _NANOSECONDS)
        return entry._replace(
            mode=status.st_mode,
            size=status.st_size,
            mtime=seconds,
            mtime_ns=nanoseconds if self.mtime_ns else None,
            uid=self.uid(status),
            gid=self.gid(status),
        )

    def status_agrees(self, status: os.stat_result, old: Dirent, links: int) -> bool:
        """Whether everything that stat tells is as in the last revision."""
        mode = status.st_mode
        if mode != old.mode or self.uid(status) != old.uid or self.gid(status) != old.gid:
            return False
        seconds, nanoseconds = divmod(status.st_mtime_ns, _NANOSECONDS)
        if seconds != old.mtime or (self.mtime_ns and old.mtime_ns is not None and nanoseconds != old.mtime_ns):
            return False
        if stat.S_ISDIR(mode):
            return links == old.linkcount
        if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            return status.st_rdev == old.size
        return status.st_size == old.size or not (stat.S_ISREG(mode) or stat.S_ISLNK(mode))


def attributes(where: bytes) -> dict[bytes, bytes]:
    """Extended attributes of the file itself, those left out that the format cannot hold. Raises OSError.

    The original drops values of more than 256 bytes, and empties those of exactly 256: they are dropped here.
    """
    try:
        names = os.listxattr(where, follow_symlinks=False)
        if not names:
            return {}
        raw = [(os.fsencode(name), os.getxattr(where, name, follow_symlinks=False)) for name in names]
    except OSError as error:
        if error.errno in _NO_ATTRIBUTES:
            return {}
        raise
    return {name: value for name, value in raw if xattr.fits(name, value)}


def same(new: Dirent, old: Dirent) -> bool:
    """Whether a complete entry says what the last revision says; names, groups and places of catalogs left aside.

    An old entry without nanoseconds agrees with any: a repository is not rewritten for them.
    """
    return (
        new.mode == old.mode
        and new.size == old.size
        and new.mtime == old.mtime
        and (new.mtime_ns is None or old.mtime_ns is None or new.mtime_ns == old.mtime_ns)
        and new.uid == old.uid
        and new.gid == old.gid
        and (new.flags ^ old.flags) & _STRUCTURE == 0
        and new.symlink == old.symlink
        and new.digest == old.digest
        and (new.xattr_blob or None) == (old.xattr_blob or None)
        and (not new.is_directory or new.linkcount == old.linkcount)
    )
