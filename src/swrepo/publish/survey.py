"""One pass over the work tree: what differs from the last revision, its contents stored. Makes nothing current."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.errors import NotFound, PublishError
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import ROOT, join, parent, path_key
from swrepo.format.wellknown import HOME
from swrepo.publish import claims, settled
from swrepo.publish.changes import Change
from swrepo.publish.faults import Faults
from swrepo.publish.grafts import Grafts
from swrepo.publish.ingest import Ingest
from swrepo.publish.last_revision import Published
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.limits import LimitCheck
from swrepo.publish.nesting import CatalogPlaces, rules_in
from swrepo.publish.opening import OpenRepository
from swrepo.publish.progress import Progress
from swrepo.publish.reader import FileReader
from swrepo.publish.settled import Settled
from swrepo.publish.staged import Staged
from swrepo.publish.tree_diff import TreeDiff
from swrepo.repository.revision import Revision

if TYPE_CHECKING:
    from swrepo.publish.changed import Touched

_PROFILES = join(ROOT, HOME)


@dataclass(frozen=True, slots=True)
class Survey:
    """A pass under way. `changes` can be gone through once; then `faults` and `scan` are complete.

    `is_partial`: only some paths are looked at.
    """

    changes: Iterator[Change]
    revision: Revision
    scan: TreeDiff
    faults: Faults
    staged: Staged
    source: Path
    start_ns: int
    places: CatalogPlaces
    limits: LimitCheck
    is_partial: bool

    @property
    def entries(self) -> int:
        """How many were looked at."""
        return self.scan.entries

    @property
    def linked_elsewhere(self) -> list[bytes]:
        """Files with names in several directories."""
        return self.scan.linked_elsewhere

    @property
    def remarks(self) -> Iterator[str]:
        """What its owner should know of it."""
        if remark := self.scan.comparison.grafts.remark:
            yield remark

    def published(self, repository: OpenRepository, root_catalog: ObjectId) -> None:
        """Keep what the next pass may take on trust: this pass was published as `root_catalog`."""
        record, directories = repository.places.scan_record, self.scan.directories
        for path, _ in self.faults.skipped:  # nobody has seen what is there
            directories.pop(path_key(path)[0], None)
            directories.pop(path_key(parent(path))[0], None)
        rules = self.scan.comparison.rules.signature
        if self.is_partial:
            settled.carry(record, repository.base.root, root_catalog, self.source, directories, rules)
        else:
            settled.save(record, Settled(self.start_ns, directories), root_catalog, self.source, rules)
        self.staged.discard()


@contextmanager
def survey(
    repository: OpenRepository,
    source: Path,
    progress: Progress,
    clock_ns: Callable[[], int],
    threads: int | None,
    touched: Touched | None = None,
    *,
    skip_unreadable: bool = False,
) -> Iterator[Survey]:
    """Compare the directory `source`, or what is `touched` in it, with what is published.

    Stored contents are remembered however the pass ends.
    """
    if not source.is_dir():
        raise NotFound(f"the work tree {source} is not a directory; create it, or name another one")
    base, settings, storage = repository.base, repository.settings, repository.storage
    start_ns, tree, faults = clock_ns(), os.fsencode(source), Faults(skip_unreadable=skip_unreadable)
    staged = Staged(repository.places.staged, settings.ways_of_storing, clock_ns)
    limits = LimitCheck(settings.limits, faults)
    with Revision(base.root, repository.objects, base.size) as revision:
        last = Published(revision)
        is_merged = touched is not None and touched.is_merged
        if touched is None:
            _refuse_to_lose_all(repository.places, source, last)
        is_partial = touched is not None and not touched.is_everything
        known = Settled()
        if not is_partial:
            known = settled.load(repository.places.scan_record, base.root, source, settings.rules.signature)
        if known.start_ns > start_ns:
            known = Settled()  # the clock has been set back since: that record's times mean nothing
        known.now_ns = start_ns
        places = CatalogPlaces(settings.encoder, storage.store, rules_in(tree, faults), is_merged=is_merged)
        grafts = Grafts(tree, last.chunks, faults, settings.external, settings.compression, storage.store.has)
        stays = frozenset[bytes]() if is_merged else _not_of_the_source(repository.places, source)
        scan = TreeDiff(tree, last, settings.rules, known, faults, places, grafts, stays)
        reader = FileReader(
            storage.source, storage.store, settings.encoder, settings.chunks, settings.packing, settings.external, tree
        )
        try:
            with Ingest(tree, reader, settings.rules, last, staged, faults, progress, threads) as ingest:
                changes = ingest.complete(limits.files(_chosen(scan, touched) if is_partial else scan))
                yield Survey(changes, revision, scan, faults, staged, source, start_ns, places, limits, is_partial)
        finally:
            staged.close()


def _not_of_the_source(places: RepositoryPlaces, source: Path) -> frozenset[bytes]:
    """What the directory may lack without that it is removed: what came from archives, and profiles.

    Profiles are made in the work tree; in it, what lacks was removed.
    """
    from_archives = claims.with_ways(claims.read(places.claims))
    return from_archives if source == places.worktree else from_archives | {_PROFILES}


def _chosen(scan: TreeDiff, touched: Touched | None) -> Iterable[Change]:
    if touched is None:
        return scan
    from swrepo.publish.changed import ChangedPaths  # here: most publications look at everything

    return ChangedPaths(scan, touched)


def _refuse_to_lose_all(places: RepositoryPlaces, source: Path, last: Published) -> None:
    """A work tree that was never filled, as after taking over a repository, does not mean that everything shall go."""
    if source != places.worktree or settled.is_of(places.scan_record, source) or os.listdir(source):
        return
    if last.listing(ROOT):
        raise PublishError(
            f"the work tree {source} is empty and was never published from, so publishing it would remove everything; "
            f"'swrepo server import {places.fqrn}' fills it"
        )
