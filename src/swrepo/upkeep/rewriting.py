"""Changes every catalog of the newest revision in place of its files, and publishes what comes out as the next one.

From the leaves to the root; a catalog in which nothing changes, nor below it, stays the object that it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import count

from swrepo.catalog import schema
from swrepo.catalog.counters import Counters, Statistics
from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.writer import CatalogWriter
from swrepo.format.object_id import Kind
from swrepo.format.paths import ROOT
from swrepo.objects.store import Want
from swrepo.publish.opening import OpenRepository
from swrepo.publish.seal import Sealer, TagRequest
from swrepo.upkeep.opening import Keeper, refuse_unfinished

Change = Callable[[CatalogWriter], int]
"""Changes rows of one catalog; how many."""


def no_change(_: CatalogWriter) -> int:
    """Only counters are counted anew."""
    return 0


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What came of it. Without a changed row or counter there is no new revision."""

    revision: int
    rows: int
    catalogs: int


@dataclass(slots=True)
class _Frame:
    """A catalog on the way back to the root: what is to be done below it, and what was."""

    ref: NestedRef
    catalog: CatalogFile
    waiting: list[NestedRef]
    changed: list[NestedRef] = field(default_factory=list)
    below: Counters = field(default_factory=Counters)


def rewrite(keeper: Keeper, fqrn: str, purpose: str, change: Change) -> Rewritten:
    """Apply `change` to every catalog but those of snapshots."""
    with keeper.open(fqrn, purpose) as repository:
        refuse_unfinished(repository)
        current, sealer = repository.manifest, keeper.sealer(repository)
        pass_ = _Pass(repository, sealer, change)
        root = pass_.run(NestedRef(ROOT, current.root_catalog, current.root_size))
        if root.id == current.root_catalog:
            return Rewritten(current.revision, 0, 0)
        draft = replace(current, revision=current.revision + 1)
        sealer.seal(draft, root, TagRequest(), auto_tag=repository.settings.auto_tag)
        return Rewritten(draft.revision, pass_.rows, pass_.catalogs)


class _Pass:
    def __init__(self, repository: OpenRepository, sealer: Sealer, change: Change) -> None:
        self._repository = repository
        self._sealer = sealer
        self._change = change
        self._numbers = count()
        self.rows = 0
        self.catalogs = 0

    def run(self, root: NestedRef) -> NestedRef:
        """The new root catalog, or the old one."""
        frames = [self._opened(root)]
        while True:
            frame = frames[-1]
            if frame.waiting:
                frames.append(self._opened(frame.waiting.pop()))
                continue
            frames.pop()
            with closing(frame.catalog):
                made, total = self._finished(frame)
            if not frames:
                return made
            frames[-1].below += total
            if made.id != frame.ref.id:
                frames[-1].changed.append(made)

    def _opened(self, ref: NestedRef) -> _Frame:
        descriptor = self._repository.objects.open(Want(ref.id, size=ref.size))
        try:
            catalog = CatalogFile.open(descriptor, ref.path)
        finally:
            os.close(descriptor)
        return _Frame(ref, catalog, [inner for inner in catalog.nested() if not inner.is_bind])

    def _finished(self, frame: _Frame) -> tuple[NestedRef, Counters]:
        """Write a catalog where something is different; its name, and the counters of it and of all below."""
        file = self._repository.places.scratch / f"rewritten-{next(self._numbers)}"
        writer = CatalogWriter.edit(frame.catalog, file)
        rows = self._change(writer)
        own = writer.own
        if not rows and not frame.changed and frame.catalog.counters() == Statistics(own, frame.below):
            writer.discard()
            return frame.ref, own + frame.below
        for ref in frame.changed:
            writer.set_nested(ref)
        writer.subtree = frame.below
        is_root = frame.ref.path == ROOT
        revision = self._repository.manifest.revision if is_root else frame.catalog.revision
        size = writer.finish(
            {
                schema.KEY_REVISION: str(revision + 1),
                schema.KEY_PREVIOUS_REVISION: frame.ref.id.text,
                schema.KEY_LAST_MODIFIED: str(self._sealer.now_ms // 1000),
            }
        )
        self.rows += rows
        self.catalogs += 1
        return NestedRef(frame.ref.path, self._sealer.save_file(file, Kind.CATALOG), size), own + frame.below
