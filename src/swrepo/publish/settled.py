"""What the last publication knew of the work tree, so that the next one need not read it all again.

A catalog row holds no ctime and no inode number. A file that looks as its row says may still have other content: it was
written within the clock's grain, its mtime was set back, or its directory was exchanged for another one. Git calls this
racy. So a file is taken on trust only where its ctime is older than the start of the publication that last saw it, and
its directory is still the same directory (the same inode).

The record holds for one revision and one work tree; without it, or with that of another, everything is read again.

With each directory goes the mark of a glance at it (publish.glance), where nothing in it had been touched since the
publication began. Marks hold for one set of rules only: they stand for the entries that those rules made.
"""

from __future__ import annotations

import json
import os
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from swrepo.format.object_id import ObjectId
from swrepo.format.paths import path_key
from swrepo.publish.glance import NO_MARK
from swrepo.system.atomic import write_atomically

CLOCK_GRAIN_NS = 1_000_000_000
"""A file system's clock may lag behind ours, or count in whole seconds: that much older a ctime must be."""

_VERSION = 2
_HALF = 64
_INODE = (1 << _HALF) - 1


@dataclass(slots=True)
class Settled:
    """Directories that were seen, and when the publication that saw them began (nanoseconds).

    By the key of each path its inode number, and above bit 64 its mark, if there is one. `now_ns`: when the
    publication began that looks now.
    """

    start_ns: int = 0
    directories: dict[int, int] = field(default_factory=dict)
    now_ns: int = 0

    def knows(self, path: bytes, status: os.stat_result) -> bool:
        """Whether the directory at `path` is the one that was there."""
        known = self.directories.get(path_key(path)[0])
        return known is not None and known & _INODE == status.st_ino

    def is_as_before(self, path: bytes, status: os.stat_result, mark: int) -> bool:
        """Whether it is, and holds what it held."""
        return mark != NO_MARK and self.directories.get(path_key(path)[0]) == _joined(status.st_ino, mark)

    def is_at_rest(self, newest_ns: int) -> bool:
        """Whether what was touched last then can be known by its mark from now on."""
        return newest_ns < self.now_ns - CLOCK_GRAIN_NS

    def trusts(self, status: os.stat_result) -> bool:
        """Whether the file has not been touched since, provided its directory is known."""
        return status.st_ctime_ns < self.trusted_before_ns

    @property
    def trusted_before_ns(self) -> int:
        """When a file must have been touched last, to be taken on trust."""
        return self.start_ns - CLOCK_GRAIN_NS


def note(seen: dict[int, int], path: bytes, status: os.stat_result, mark: int) -> None:
    """Keep a directory for the next record."""
    seen[path_key(path)[0]] = _joined(status.st_ino, mark)


def save(path: Path, settled: Settled, root_catalog: ObjectId, source: Path, rules: str) -> None:
    """Write the record that goes with `root_catalog`, the work tree `source` and the rules of that name."""
    head = {"start_ns": settled.start_ns, "rules": rules, **_bound_to(root_catalog, source)}
    write_atomically(path, json.dumps(head).encode() + b"\n" + _packed(settled.directories))


def carry(
    path: Path, old_root: ObjectId, root_catalog: ObjectId, source: Path, more: Mapping[int, int], rules: str
) -> None:
    """Let the record that goes with `old_root` go with `root_catalog`: only some paths were looked at, and in `more`
    are the directories among them.

    It keeps its time, which is right for all that was not looked at. Where none fits, there is none afterwards either.
    """
    try:
        first, _, rest = path.read_bytes().partition(b"\n")
        head = json.loads(first)
        if any(head.get(key) != value for key, value in _bound_to(old_root, source).items()):
            return
    except (OSError, ValueError, AttributeError):
        return
    if head.get("rules") != rules:
        more = _unmarked(more)
    head.update(_bound_to(root_catalog, source))
    write_atomically(path, json.dumps(head).encode() + b"\n" + rest + _packed(more))


def is_of(path: Path, source: Path) -> bool:
    """Whether the record is that of a publication of `source`, whatever the revision."""
    try:
        with path.open("rb") as file:
            return bool(json.loads(file.readline()).get("source") == os.path.abspath(source))
    except (OSError, ValueError, AttributeError):
        return False


def load(path: Path, root_catalog: ObjectId, source: Path, rules: str) -> Settled:
    """The record for `root_catalog` and `source`; one that trusts nothing where there is none that fits.

    Without marks where it was made by other rules.
    """
    try:
        first, _, rest = path.read_bytes().partition(b"\n")
        head = json.loads(first)
        if any(head.get(key) != value for key, value in _bound_to(root_catalog, source).items()):
            return Settled()
        values = array("Q", rest)
        directories = dict(zip(_signed(values[::3]), map(_joined, values[1::3], values[2::3]), strict=True))
        return Settled(int(head["start_ns"]), directories if head["rules"] == rules else _unmarked(directories))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return Settled()  # nothing is lost but time


def _packed(directories: Mapping[int, int]) -> bytes:
    """Key, inode number and mark of each. Of several for one directory the last holds."""
    return array(
        "Q", (part for key, value in directories.items() for part in (key & _INODE, value & _INODE, value >> _HALF))
    ).tobytes()


def _joined(inode: int, mark: int) -> int:
    return mark << _HALF | inode


def _unmarked(directories: Mapping[int, int]) -> dict[int, int]:
    return {key: value & _INODE for key, value in directories.items()}


def _signed(keys: array[int]) -> array[int]:
    return array("q", keys.tobytes())


def _bound_to(root_catalog: ObjectId, source: Path) -> Mapping[str, object]:
    status = source.stat()
    return {
        "version": _VERSION,
        "byteorder": sys.byteorder,
        "root": root_catalog.text,
        "source": os.path.abspath(source),
        "device": status.st_dev,
    }
