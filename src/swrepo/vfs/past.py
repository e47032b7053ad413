"""The revisions that a mounted repository has shown before, so that a listing begun in one of them can end in it."""

from __future__ import annotations

from collections import OrderedDict

from swrepo.catalog.reader import CatalogFile
from swrepo.format.object_id import ObjectId
from swrepo.objects.store import LocalObjects
from swrepo.repository.revision import Revision

EPOCHS = 1024
"""Revisions in a row that can be told apart, and so many less one are remembered."""

_OPEN = 8


class Past:
    """For one thread at a time (the lock of `Vfs`), but for `load`. `roots`: epoch -> root catalog."""

    def __init__(self) -> None:
        self.roots: OrderedDict[int, ObjectId] = OrderedDict()
        self._open: OrderedDict[int, Revision] = OrderedDict()

    def note(self, epoch: int, root: ObjectId) -> None:
        """Remember what was shown in an epoch."""
        self.roots[epoch] = root
        while len(self.roots) >= EPOCHS:
            gone, _ = self.roots.popitem(last=False)
            self._open.pop(gone, None)

    def catalog(self, epoch: int, directory: bytes) -> CatalogFile | None:
        """The catalog that listed a directory; None where `load` has to run first."""
        revision = self._open.get(epoch)
        return None if revision is None else revision.tree.find_loaded(directory)

    def load(self, epoch: int, directory: bytes, objects: LocalObjects) -> None:
        """Open what `catalog` lacks. Fetches what the cache has let go of; without the lock."""
        root = self.roots[epoch]
        revision = self._open.get(epoch)
        if revision is None:
            revision = self._open.setdefault(epoch, Revision(root, objects))
        revision.tree.find(directory)
        while len(self._open) > _OPEN:
            # Not closed: who uses it at the moment goes on, and it closes when nobody does.
            self._open.popitem(last=False)

    def close(self) -> None:
        """Let go of what is open; it opens again."""
        self._open.clear()
