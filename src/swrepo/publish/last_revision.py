"""What a scan is compared with: the revision that is published now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.paths import ROOT
from swrepo.repository.revision import Revision


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

    def begins_catalog(self, path: bytes) -> bool:
        """Whether the directory at `path` starts a catalog of its own."""
        ...


class Published:
    """LastRevision over a revision of the repository."""

    def __init__(self, revision: Revision) -> None:
        self._revision = revision

    def lookup(self, path: bytes) -> Dirent | None:
        """See LastRevision."""
        return self._revision.find(path)

    def listing(self, path: bytes) -> Sequence[Dirent]:
        """See LastRevision."""
        return self._revision.tree.listing(path)

    def chunks(self, path: bytes) -> tuple[Chunk, ...]:
        """See LastRevision."""
        return self._revision.chunks(path)

    def begins_catalog(self, path: bytes) -> bool:
        """See LastRevision."""
        return path == ROOT or self._revision.tree.mounted(path) is not None
