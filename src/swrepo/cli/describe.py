"""How a directory entry is written: as a line of `ls -l`, as a record for programs."""

from __future__ import annotations

import stat
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from swrepo.format.dirent import Dirent, device_numbers
from swrepo.format.variant import expand
from swrepo.repository.status import status

_TYPES = {
    stat.S_IFDIR: "directory",
    stat.S_IFREG: "file",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


def text(raw: bytes) -> str:
    """A name or path for JSON: bytes that are no UTF-8 become lone surrogates, as Python's `surrogateescape` does."""
    return raw.decode("utf-8", "surrogateescape")


def printable(raw: bytes) -> str:
    """A name or path for a person: nothing in it moves the cursor."""
    shown = raw.decode("utf-8", "backslashreplace")
    return shown if shown.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in shown)


def kind(entry: Dirent) -> str:
    """The type in words."""
    return _TYPES.get(stat.S_IFMT(entry.mode), "unknown")


def long_line(entry: Dirent, name: str, variables: Mapping[str, str], *, numeric: bool = False) -> str:
    """A line like that of `ls -l`, in local time."""
    shown = status(entry, variables)
    owner, group = (str(shown.uid), str(shown.gid)) if numeric else (_user(shown.uid), _group(shown.gid))
    size = "{}, {}".format(*device_numbers(shown.rdev)) if entry.is_device else str(shown.size)
    when = local_time(shown.mtime, "%Y-%m-%d %H:%M")
    arrow = f" -> {printable(expand(entry.symlink, variables))}" if entry.is_symlink else ""
    return f"{stat.filemode(shown.mode)} {shown.nlink:>3} {owner:<8} {group:<8} {size:>10} {when} {name}{arrow}"


def record(path: bytes, entry: Dirent, variables: Mapping[str, str]) -> dict[str, Any]:
    """An entry for programs. Times are in seconds since 1970, `mtime_ns` what comes on top."""
    shown = status(entry, variables)
    found: dict[str, Any] = {
        "path": text(path) or "/",
        "type": kind(entry),
        "mode": f"{stat.S_IMODE(shown.mode):04o}",
        "uid": shown.uid,
        "gid": shown.gid,
        "size": shown.size,
        "mtime": shown.mtime,
        "mtime_ns": shown.mtime_ns,
        "links": shown.nlink,
    }
    if entry.is_symlink:
        found["target"] = text(entry.symlink)
    if entry.is_device:
        found["device"] = list(device_numbers(shown.rdev))
    content = entry.content
    if entry.is_regular and content is not None:
        found["hash"] = content.text
    return found


def local_time(seconds: int, style: str) -> str:
    """A time since 1970 as strftime writes it; as `@SECONDS` where this system does not know such a date."""
    try:
        return time.strftime(style, time.localtime(seconds))
    except (OSError, OverflowError, ValueError):  # Windows: all before 1970
        return f"@{seconds}"


def xattr_record(attributes: Mapping[bytes, bytes]) -> dict[str, str]:
    """Extended attributes for programs: values in hexadecimal."""
    return {text(name): value.hex() for name, value in sorted(attributes.items())}


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


@cache
def _user(uid: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError, OverflowError):  # Windows has no such names
        return str(uid)


@cache
def _group(gid: int) -> str:
    try:
        import grp

        return grp.getgrgid(gid).gr_name
    except (ImportError, KeyError, OverflowError):
        return str(gid)
