"""What statfs tells of the repositories that are shown, from memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from swrepo.repository.revision import Revision
from swrepo.vfs.volume import Volume


class Usage(NamedTuple):
    """Published bytes and entries."""

    size: int
    entries: int


class Usages:
    """Remembers what the root catalogs count. For one thread at a time (the lock of `Vfs`)."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Revision, Usage]] = {}

    def of(self, volumes: Iterable[Volume]) -> Usage:
        """The sums."""
        found = [self._of(volume) for volume in volumes]
        return Usage(sum(usage.size for usage in found), sum(usage.entries for usage in found))

    def _of(self, volume: Volume) -> Usage:
        known = self._known.get(volume.name)
        if known is None or known[0] is not volume.revision:
            total = volume.revision.tree.root.counters().total
            known = self._known[volume.name] = volume.revision, Usage(total.file_size, total.entries)
        return known[1]
