"""Owner, mode, extended attributes and times of a local copy: put on it, and compared with what was published."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from swrepo.format import xattr
from swrepo.format.dirent import Dirent
from swrepo.repository.status import status
from swrepo.system.user import is_root

_SECOND = 1_000_000_000
_GRAINS = (100, 1000, _SECOND, 2 * _SECOND)
"""Nanoseconds to which file systems round times down: NTFS, APFS's elders, HFS+, FAT."""

_PERMISSIONS = 0o777
_WRITABLE = stat.S_IRUSR | stat.S_IWUSR

BY_DESCRIPTOR = {os.chmod, os.utime} <= os.supports_fd
"""Whether an open file can be given all this before it has its name."""

Target: TypeAlias = "int | bytes"
"""An open file, where the system can do that, or a path."""


@dataclass(frozen=True, slots=True)
class Keep:
    """What a copy keeps besides names, types, contents and permissions. Owners only root can give away."""

    times: bool = False
    owners: bool = False
    special_bits: bool = False
    attributes: bool = False
    hard_links: bool = False
    special_files: bool = False


PLAIN = Keep()
PRESERVE = Keep(times=True, owners=True, special_bits=True)
EVERYTHING = Keep(times=True, owners=True, special_bits=True, attributes=True, hard_links=True, special_files=True)


def modification_time(entry: Dirent) -> int:
    """Nanoseconds since 1970."""
    return entry.mtime * _SECOND + (entry.mtime_ns or 0)


def owner(entry: Dirent) -> tuple[int, int]:
    """User and group as a mount shows them: catalogs hold numbers that no file can have."""
    shown = status(entry, {})
    return shown.uid, shown.gid


def put_on(target: Target, entry: Dirent, keep: Keep) -> int:
    """Owner, mode, attributes, times, in this order: each may undo one after it. The attributes that were refused."""
    refused = 0
    if keep.owners and is_root():
        os.chown(target, *owner(entry))
    os.chmod(target, mode_of(entry, keep))
    if keep.attributes:
        refused = _put_attributes(target, xattr.decode(entry.xattr_blob))
    if keep.times:
        when = modification_time(entry)
        os.utime(target, ns=(when, when))
    return refused


def put_on_link(path: bytes, entry: Dirent, keep: Keep) -> None:
    """Owner and time of a symbolic link, where the system lets links have their own."""
    if keep.owners and is_root():
        os.chown(path, *owner(entry), follow_symlinks=False)
    if keep.times and os.utime in os.supports_follow_symlinks:
        when = modification_time(entry)
        os.utime(path, ns=(when, when), follow_symlinks=False)


def mode_of(entry: Dirent, keep: Keep) -> int:
    """The mode for a copy. set-user-id only makes sense with the owner that it was published for."""
    if keep.special_bits and (is_root() or not entry.mode & (stat.S_ISUID | stat.S_ISGID)):
        return stat.S_IMODE(entry.mode)
    return entry.mode & _PERMISSIONS


def same_attributes(found: os.stat_result, entry: Dirent, keep: Keep) -> bool:
    """Whether mode, owner and time of a local file are those that `put_on` gives; extended attributes aside."""
    if sys.platform != "win32" and stat.S_IMODE(found.st_mode) != mode_of(entry, keep):
        return False
    if keep.owners and is_root() and (found.st_uid, found.st_gid) != owner(entry):
        return False
    return not keep.times or same_time(found, entry)


def same_time(found: os.stat_result, entry: Dirent) -> bool:
    """Whether a local file has the published time, as exactly as its file system can hold it."""
    wanted, here = modification_time(entry), found.st_mtime_ns
    return wanted == here or any(here == wanted - wanted % grain for grain in _GRAINS)


def make_writable(path: bytes, found: os.stat_result) -> bool:
    """See to it that an ordinary user can change the directory; whether its mode was changed for that."""
    if is_root() or found.st_mode & stat.S_IRWXU == stat.S_IRWXU:
        return False
    os.chmod(path, stat.S_IMODE(found.st_mode) | stat.S_IRWXU)
    return True


def _put_attributes(target: Target, wanted: Mapping[bytes, bytes]) -> int:
    """Make the attributes those of `wanted`; how many the system refused."""
    if not hasattr(os, "setxattr"):
        return len(wanted)
    with suppress(OSError):
        for name in os.listxattr(target):
            if name.startswith("user.") and os.fsencode(name) not in wanted:
                os.removexattr(target, name)
    refused = 0
    for wanted_name, value in wanted.items():
        try:
            os.setxattr(target, wanted_name, value)
        except OSError:
            refused += 1
    return refused
