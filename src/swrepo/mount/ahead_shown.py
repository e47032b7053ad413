"""What is known of one revision of a repository by those who guess what comes next in it."""

from __future__ import annotations

from swrepo.mount.ahead_around import Around, Listed
from swrepo.mount.ahead_catalogs import CatalogsAhead
from swrepo.mount.ahead_named import Named
from swrepo.mount.ahead_neighbours import Neighbours


class Shown:
    """The policies for it, and its tree. With the lock of `Vfs`."""

    __slots__ = ("_listed", "around", "catalogs", "named", "neighbours")

    def __init__(self, neighbours: Neighbours, catalogs: CatalogsAhead) -> None:
        self.neighbours = neighbours
        self.catalogs = catalogs
        self.named = Named()
        self.around: Around | None = None
        self._listed: Listed | None = None

    def listed(self, around: Around) -> Listed:
        """The tree of the revision, where what was looked for is remembered."""
        if self._listed is None:
            self.around = around
            self._listed = Listed(around)
        return self._listed
