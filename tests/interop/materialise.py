"""A revision of a repository made into a real directory: what its publisher had."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from swrepo.format import xattr
from swrepo.format.dirent import Dirent
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk

BLOCK = 4 << 20

NO_OWNER = 0xFFFFFFFF
"""What an ingested tarball leaves for directories that it does not hold; no file can have this owner."""


def materialise(revision: Revision, target: Path) -> None:
    """Make every path with its content, owner, mode, times and attributes. Needs to be root for owners and devices."""
    top = os.fsencode(target)
    first_names: dict[tuple[bytes, int], bytes] = {}
    made: list[tuple[bytes, Dirent]] = []
    for path, entry in walk(revision):
        where = top + path
        leader = first_names.get(revision.inode(path)) if entry.hardlink_group and not entry.is_directory else None
        if leader is not None:
            os.link(leader, where, follow_symlinks=False)
            continue
        first_names[revision.inode(path)] = where
        make(revision, path, entry, where)
        made.append((where, entry))
    for where, entry in reversed(made):  # a directory's times after all that is in it
        dress(where, entry)


def make(revision: Revision, path: bytes, entry: Dirent, where: bytes) -> None:
    if entry.is_directory:
        os.makedirs(where, exist_ok=path == b"")
    elif entry.is_symlink:
        os.symlink(entry.symlink, where)
    elif entry.is_special:
        os.mknod(where, entry.mode, entry.rdev)
    else:
        content = revision.content(path)
        with open(where, "wb") as file:
            file.writelines(content.pread(offset, BLOCK) for offset in range(0, content.size, BLOCK))
        content.close()


def dress(where: bytes, entry: Dirent) -> None:
    if os.geteuid() == 0:
        owners = [-1 if owner == NO_OWNER else owner for owner in (entry.uid, entry.gid)]
        os.chown(where, *owners, follow_symlinks=False)
    if not entry.is_symlink:
        os.chmod(where, stat.S_IMODE(entry.mode))
    for name, value in xattr.decode(entry.xattr_blob).items():
        os.setxattr(where, name, value, follow_symlinks=False)
    nanoseconds = entry.mtime * 10**9 + (entry.mtime_ns or 0)
    os.utime(where, ns=(nanoseconds, nanoseconds), follow_symlinks=False)
