"""Differences between revisions in the words and letters of the original. Source: `cvmfs_server diff`, observed."""

from __future__ import annotations

import time
from collections.abc import Iterator

from swrepo.catalog.counters import Counters
from swrepo.cli.describe import printable
from swrepo.format.dirent import Dirent, Flag
from swrepo.repository.history import Tag
from swrepo.repository.walk import Added, Changed, Difference

_HEADER = (
    "# line descriptor: A - add, R - remove, M - modify, S - statistics; modify flags: S - size, M - mode, "
    "T - timestamp, C - content, L - symlink target; entry types: F - regular file, S - symbolic link, D - directory, "
    "N - nested catalog"
)
_WORDS = {"F": "file", "S": "symlink", "D": "directory", "U": "unknown"}
_COUNTED = {"F": "regular files", "S": "symlinks", "D": "directories", "N": "catalogs"}
_NESTED = int(Flag.NESTED_MOUNTPOINT | Flag.NESTED_ROOT)
_FLAGS = (
    ("N", "nested-catalog", _NESTED),
    ("P", "chunked-file", int(Flag.CHUNKED)),
    ("E", "external-file", int(Flag.EXTERNAL)),
    ("B", "bind-mountpoint", int(Flag.BIND_MOUNTPOINT)),
    ("H", "hidden", int(Flag.HIDDEN)),
    ("D", "direct-io", int(Flag.DIRECT_IO)),
)


class Lines:
    """Writes for people, or for programs. `times`: whether what differs by nothing but its time is told."""

    def __init__(self, *, machine: bool, times: bool) -> None:
        self._machine = machine
        self._times = times

    def header(self, old: Tag, new: Tag) -> str:
        """What the lines are about."""
        return _HEADER if self._machine else f"DELTA: {_revision(old)} --> {_revision(new)}"

    def counts(self, more: Counters) -> Iterator[str]:
        """How much more there is of everything."""
        # A mountpoint is a row of two catalogs.
        numbers = {"F": more.regular, "S": more.symlink, "D": more.dir - more.nested, "N": more.nested}
        for letter, number in numbers.items():
            yield f"S {letter} {number}" if self._machine else f"d(# {_COUNTED[letter]}): {number}"

    def line(self, found: Difference) -> str | None:
        """One difference; None for one that is not to be told."""
        if isinstance(found, Changed):
            return self._changed(found)
        added = isinstance(found, Added)
        sign, letter, path = "+" if added else "-", _letter(found.entry), printable(found.path) or "/"
        if not self._machine:
            return f"{path} {'add' if added else 'remove'} {_WORDS[letter]} {sign}{found.entry.size} bytes"
        size = "" if found.entry.is_directory else f" {sign}{found.entry.size}"
        return f"{'A' if added else 'R'} {letter} {path}{size}"

    def _changed(self, found: Changed) -> str | None:
        differ = [pair for pair in _differences(found.old, found.new) if self._times or pair[0] != "T"]
        if not differ:
            return None
        before, after, path = _letter(found.old), _letter(found.new), printable(found.path) or "/"
        if self._machine:
            kind = before if before == after else before + after
            return f"M[{''.join(letter for letter, _ in differ)}] {kind} {path}"
        kind = _WORDS[before] if before == after else f"{_WORDS[before]}->{_WORDS[after]}"
        return f"{path} modify {kind} [{', '.join(word for _, word in differ)}]"


def _differences(old: Dirent, new: Dirent) -> Iterator[tuple[str, str]]:
    is_directory = old.is_directory or new.is_directory
    if old.linkcount != new.linkcount:
        yield "I", "link-count"
    if old.size != new.size and not is_directory:
        yield "S", "size"
    if (old.mode, old.uid, old.gid) != (new.mode, new.uid, new.gid):
        yield "M", "mode"
    if (old.mtime, old.mtime_ns or 0) != (new.mtime, new.mtime_ns or 0):
        yield "T", "timestamp"
    if old.symlink != new.symlink:
        yield "L", "symlink-target"
    if old.digest != new.digest or (old.is_chunked and new.is_chunked):
        yield "C", "content"
    if old.hardlink_group != new.hardlink_group and not is_directory:
        yield "G", "hardlink-group"
    if old.xattr_blob != new.xattr_blob:
        yield "X", "xattrs"
    for letter, word, bits in _FLAGS:
        if (old.flags ^ new.flags) & bits:
            yield letter, word


def _letter(entry: Dirent) -> str:
    if entry.is_directory:
        return "D"
    if entry.is_symlink:
        return "S"
    return "F" if entry.is_regular else "U"


def _revision(tag: Tag) -> str:
    when = time.strftime("%d %b %Y %H:%M:%S", time.gmtime(tag.timestamp))
    return f"{tag.name}/r{tag.revision} ({when})"
