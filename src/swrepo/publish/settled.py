"""What the last publication knew of the work tree, so that the next one need not read it all again.

A catalog row holds no ctime and no inode number. A file that looks as its row says may still have other content: it was
written within the clock's grain, its mtime was set back, or its directory was exchanged for another one. Git calls this
racy. So a file is taken on trust only where its ctime is older than the start of the publication that last saw it, and
its directory is still the same directory (the same inode).

The record holds for one revision and one work tree; without it, or with that of another, everything is read again.
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
from swrepo.system.atomic import write_atomically

CLOCK_GRAIN_NS = 1_000_000_000
"""A file system's clock may lag behind ours, or count in whole seconds: that much older a ctime must be."""

_VERSION = 1


@dataclass(slots=True)
class Settled:
    """Directories that were seen, and when the publication that saw them began (nanoseconds)."""

    start_ns: int = 0
    directories: dict[int, int] = field(default_factory=dict)

    def knows(self, path: bytes, status: os.stat_result, seen: dict[int, int]) -> bool:
        """Whether the directory at `path` is the one that was there. It is noted in `seen`, for the next record."""
        key = path_key(path)[0]
        seen[key] = status.st_ino
        return self.directories.get(key) == status.st_ino

    def trusts(self, status: os.stat_result) -> bool:
        """Whether the file has not been touched since, provided its directory is known."""
        return status.st_ctime_ns < self.trusted_before_ns

    @property
    def trusted_before_ns(self) -> int:
        """When a file must have been touched last, to be taken on trust."""
        return self.start_ns - CLOCK_GRAIN_NS


def save(path: Path, settled: Settled, root_catalog: ObjectId, source: Path) -> None:
    """Write the record that goes with `root_catalog` and the work tree `source`."""
    head = {"start_ns": settled.start_ns, **_bound_to(root_catalog, source)}
    write_atomically(path, json.dumps(head).encode() + b"\n" + _pairs(settled.directories))


def carry(path: Path, old_root: ObjectId, root_catalog: ObjectId, source: Path, more: Mapping[int, int]) -> None:
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
    head.update(_bound_to(root_catalog, source))
    write_atomically(path, json.dumps(head).encode() + b"\n" + rest + _pairs(more))


def is_of(path: Path, source: Path) -> bool:
    """Whether the record is that of a publication of `source`, whatever the revision."""
    try:
        with path.open("rb") as file:
            return bool(json.loads(file.readline()).get("source") == os.fspath(source))
    except (OSError, ValueError, AttributeError):
        return False


def load(path: Path, root_catalog: ObjectId, source: Path) -> Settled:
    """The record for `root_catalog` and `source`; one that trusts nothing where there is none that fits."""
    try:
        first, _, rest = path.read_bytes().partition(b"\n")
        head = json.loads(first)
        if any(head.get(key) != value for key, value in _bound_to(root_catalog, source).items()):
            return Settled()
        values = array("Q", rest)
        return Settled(int(head["start_ns"]), dict(zip(_signed(values[::2]), values[1::2], strict=True)))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return Settled()  # nothing is lost but time


def _pairs(directories: Mapping[int, int]) -> bytes:
    """Of several pairs for one directory the last one holds."""
    return array("Q", (value & (1 << 64) - 1 for pair in directories.items() for value in pair)).tobytes()


def _signed(keys: array[int]) -> array[int]:
    return array("q", keys.tobytes())


def _bound_to(root_catalog: ObjectId, source: Path) -> Mapping[str, object]:
    status = source.stat()
    return {
        "version": _VERSION,
        "byteorder": sys.byteorder,
        "root": root_catalog.text,
        "source": os.fspath(source),
        "device": status.st_dev,
    }
