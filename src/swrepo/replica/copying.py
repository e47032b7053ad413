"""Copies revisions: catalogs from the root down, what their files are made of, and each catalog after all of that.

So a catalog in the storage says that everything below it is there, and nothing below it is looked at again. Where that
may not hold (the mark `unsettled` is there: a run was killed, or a collection), every catalog is gone through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from swrepo.catalog.nested import NestedRef
from swrepo.format.object_id import Algorithm, ObjectId
from swrepo.format.paths import ROOT
from swrepo.publish.storage import FlushableStore
from swrepo.replica.carrying import Carrier
from swrepo.replica.catalogs import Catalogs

_AHEAD = 32
"""Catalogs that are fetched before they are met."""

_TOGETHER = 1000
"""Catalogs that wait for their contents together: each time costs two syncs."""


@dataclass(slots=True)
class Copier:
    """Copies into one storage. `trusts`: whether a catalog that is there vouches for what is below it."""

    catalogs: Catalogs
    carrier: Carrier
    store: FlushableStore
    trusts: bool
    seen: Callable[[NestedRef], object] = lambda _: None
    _visited: set[ObjectId] = field(default_factory=set)
    _ready: list[ObjectId] = field(default_factory=list)

    def copy(self, root: NestedRef) -> bool:
        """Copy what `root` reaches; whether it was not there. What came is durable after `settle`."""
        if self._is_complete(root):
            return False
        stack = [(root, False)]
        while stack:
            self.catalogs.announce([ref for ref, is_done in stack[-_AHEAD:] if not is_done])
            ref, is_done = stack.pop()
            if is_done:
                self._ready.append(ref.id)
                if len(self._ready) >= _TOGETHER:
                    self.settle()
            elif not self._is_complete(ref):
                self._visited.add(ref.id)
                stack.append((ref, True))
                stack.extend((nested, False) for nested in self._contents(ref))
        return True

    def settle(self) -> None:
        """Have everything that was copied in the storage, contents before the catalogs that name them."""
        self.carrier.settle()
        ready, self._ready = self._ready, []
        for name in ready:
            self.catalogs.store(name)
        self.store.flush()
        for name in ready:
            self.catalogs.dismiss(name)

    def predecessor(self, root: NestedRef) -> tuple[ObjectId | None, int]:
        """The root catalog that `root` replaced, and when `root` was made (Unix)."""
        with self.catalogs.open(root) as catalog:
            return catalog.previous_revision, catalog.last_modified

    def has(self, root: ObjectId) -> bool:
        """Whether a revision is there, or will be after `settle`."""
        return self._is_complete(NestedRef(ROOT, root, None))

    def _is_complete(self, ref: NestedRef) -> bool:
        return ref.id in self._visited or (self.trusts and self.store.has(ref.id))

    def _contents(self, ref: NestedRef) -> tuple[NestedRef, ...]:
        """Ask for what the files of a catalog are made of; the catalogs below it."""
        with self.catalogs.open(ref) as catalog:
            self.seen(ref)
            for digest, flags, kind, size in catalog.sized_contents():
                self.carrier.want(ObjectId(Algorithm((flags >> 8 & 7) + 1), digest, kind), size)
            return tuple(reversed(catalog.nested()))
