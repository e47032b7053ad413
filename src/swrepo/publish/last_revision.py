"""What a scan is compared with: the revision that is published now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from swrepo.format.dirent import Chunk, Dirent


class LastRevision(Protocol):
    """Just enough of a revision to find what changed. Used by one thread."""

    def lookup(self, path: bytes) -> Dirent | None:
        """The entry at `path`."""
        ...

    def listing(self, path: bytes) -> Sequence[Dirent]:
        """What the directory at `path` holds, hidden entries left out; empty where it does not exist."""
        ...

    def chunks(self, path: bytes) -> tuple[Chunk, ...]:
        """The chunks of the file at `path`."""
        ...
