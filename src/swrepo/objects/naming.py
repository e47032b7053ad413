"""Written objects get their names: they are made durable, then named, and then their names are made durable.

The invariant stands on this order: what carries an object's name is complete on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from swrepo.system.atomic import sync_directory
from swrepo.system.filesystem import sync_filesystem

Sync = Callable[[Path], bool]
"""Makes all of a file system durable, or says that it cannot: then each file is synced by itself."""


class Namer(Protocol):
    """Does what `name_all` does while its caller goes on: another process."""

    def begin(self, batch: Mapping[str, str]) -> None:
        """Start with a batch, of which there is one at a time."""
        ...

    def is_done(self) -> bool:
        """Whether `finish` would return at once."""
        ...

    def finish(self) -> None:
        """Wait until all have their names. Raises what `name_all` raised there."""
        ...


def name_all(root: Path, batch: Mapping[str, str], sync: Sync = sync_filesystem) -> None:
    """Give names below `root` (keys) to temporary files (values), in `batch`; the names may be lost yet. OSError."""
    if not sync(root):
        for temporary in batch.values():
            _sync_file(temporary)
    # A crash from here on leaves some objects named, all of them complete.
    for path, temporary in batch.items():
        _name(temporary, f"{root}/{path}")


def make_names_durable(root: Path, directories: Iterable[str], sync: Sync = sync_filesystem) -> None:
    """The names that were given in these directories below `root`. OSError."""
    if not sync(root):
        for directory in directories:
            sync_directory(root / directory)


def _name(temporary: str, target: str) -> None:
    try:
        os.rename(temporary, target)
    except FileNotFoundError:  # data/XX is made on demand by some tools
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(temporary, target)


def _sync_file(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
