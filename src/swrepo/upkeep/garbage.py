"""Garbage collection from beginning to end: what no kept revision reaches is removed.

    lock -> what the newest revision, those before it that are kept, and the tags reach -> what the other revisions of
    the reference log reach besides -> remove it: contents, then catalogs, those below before those above -> old tag
    databases, certificates, meta infos -> reference log -> signed manifest

Killed at any moment, it leaves everything that is kept; the reference log goes on naming what was condemned, and the
next collection removes the rest. Source of the rules: format.md 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field

from swrepo.catalog.reader import CatalogFile
from swrepo.errors import ObjectNotFound, PublishError
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.paths import ROOT
from swrepo.format.wellknown import REFLOG
from swrepo.objects.store import Want
from swrepo.publish.progress import Phase, Progress, Silent
from swrepo.repository.history import open_history
from swrepo.repository.reflog import Reference, ReflogFile
from swrepo.system.lock import exclusive
from swrepo.upkeep import published_status
from swrepo.upkeep.collectable import Collectable, collectable
from swrepo.upkeep.marking import Marker
from swrepo.upkeep.object_set import ObjectTables
from swrepo.upkeep.opening import Keeper, collection_lock
from swrepo.upkeep.removing import Removal

_REFLOG_LIMIT = 1 << 30
_AUXILIARY = (Kind.CERTIFICATE, Kind.HISTORY, Kind.METAINFO)


@dataclass(frozen=True, slots=True)
class Keep:
    """Which revisions are kept besides the newest and those with tags: so many before it, or since that time (Unix).

    By time, the last one before it is kept too: it is what clients saw then.
    """

    revisions: int | None = None
    since: int | None = None


@dataclass(slots=True)
class Collected:
    """What a collection did, or would do. Sizes are stored bytes."""

    kept_catalogs: int = 0
    swept_revisions: int = 0
    swept_catalogs: int = 0
    objects: int = 0
    size: int = 0
    auxiliary: int = 0


@dataclass(frozen=True, slots=True)
class Collection:
    """One garbage collection. `deleted` is told of each object that goes."""

    keeper: Keeper
    keep: Keep
    progress: Progress = Silent()  # noqa: RUF009 - has no state
    deleted: Callable[[ObjectId], object] = field(default=lambda _: None)
    dry_run: bool = False

    def run(self, fqrn: str) -> Collected:
        """Collect. PublishError where the repository is not to be collected, or not whole; Busy."""
        purpose = "collecting the garbage of"
        lock = exclusive(collection_lock(self.keeper.layout.repository(fqrn)), f"{purpose} {fqrn}")
        with (
            lock,
            collectable(self.keeper, fqrn, purpose, dry_run=self.dry_run) as repository,
            ObjectTables(repository.scratch / "objects.db") as tables,
        ):
            return self._collect(repository, tables)

    def _collect(self, repository: Collectable, tables: ObjectTables) -> Collected:
        found = Collected()
        references = _references(repository)
        marker = Marker(repository.objects, tables, lambda count: self.progress.advance(count, 0))
        self.progress.phase(Phase.MARKING)
        oldest = self._mark(repository, marker, references, found)
        swept = [one.id for one in references if one.id.kind is Kind.CATALOG and one.id not in tables.live]
        for root in swept:
            found.swept_catalogs += marker.condemn(root)
        found.swept_revisions = len(swept)
        self.progress.phase(Phase.SWEEPING)
        with suppress(FileNotFoundError):
            if not self.dry_run:
                repository.places.staged.unlink()  # some of what it takes for stored may go
        removal = Removal(repository.storage, self._told, self.dry_run)
        with closing(tables.doomed()) as doomed:
            removal.in_any_order(name for name in doomed if name.kind is not Kind.CATALOG)
        with closing(tables.sequence()) as catalogs:
            removal.in_order(catalogs)
        removal.in_order(auxiliary := list(_outdated(repository, references, oldest)))
        found.objects, found.size, found.auxiliary = removal.count, removal.size, len(auxiliary)
        if not self.dry_run:
            self._finish(repository, [*swept, *auxiliary])
        return found

    def _mark(
        self, repository: Collectable, marker: Marker, references: list[Reference], found: Collected
    ) -> int | None:
        """Mark what is kept; when the oldest kept revision of the default branch was noted."""
        current = repository.manifest
        found.kept_catalogs += marker.keep(current.root_catalog, "the newest revision")
        noted = {one.id: one.timestamp for one in references}
        times = [noted.get(current.root_catalog)]
        for root in self._before(repository, noted):
            if not marker.keep_what_is_left(root):
                break
            times.append(noted.get(root))
        if current.history is not None:
            with closing(open_history(current.history, repository.objects)) as history:
                tags = history.tags()
            for tag in tags:
                found.kept_catalogs += marker.keep(tag.root, f"the revision of the tag {tag.name}")
        known = [time for time in times if time is not None]
        return min(known) if len(known) == len(times) else None

    def _before(self, repository: Collectable, noted: dict[ObjectId, int]) -> Iterator[ObjectId]:
        """The revisions before the newest that are kept, newest first."""
        name: ObjectId | None = repository.manifest.root_catalog
        depth = 0
        while name is not None:
            previous, modified = _predecessor(repository, name)
            since, most = self.keep.since, self.keep.revisions
            if (since is not None and noted.get(name, modified) < since) or (most is not None and depth >= most):
                return
            if since is None and most is None:
                return
            name, depth = previous, depth + 1
            if name is not None:
                yield name

    def _told(self, name: ObjectId, size: int) -> None:
        self.deleted(name)
        self.progress.advance(1, size)

    def _finish(self, repository: Collectable, gone: list[ObjectId]) -> None:
        if gone:
            self.progress.phase(Phase.SIGNING)
            repository.forget(gone)
        published_status.update(repository.storage.documents, last_gc=published_status.moment(self.keeper.now()))


def _references(repository: Collectable) -> list[Reference]:
    """What the reference log names, oldest first."""
    try:
        data = repository.storage.documents.read(REFLOG, _REFLOG_LIMIT)
    except ObjectNotFound as error:
        raise PublishError(f"{repository.places.fqrn} has no reference log; publish once to have one made") from error
    file = repository.scratch / "reflog-read"
    file.write_bytes(data)
    try:
        with closing(ReflogFile.open(file)) as log:
            return list(log.references())
    finally:
        file.unlink()


def _predecessor(repository: Collectable, root: ObjectId) -> tuple[ObjectId | None, int]:
    """The revision that a root catalog replaced, and when it was made; the end of the chain where it is gone."""
    try:
        descriptor = repository.objects.open(Want(root))
    except ObjectNotFound:
        return None, 0
    with open(descriptor, "rb") as file, closing(CatalogFile.open(file.fileno(), ROOT)) as catalog:
        return catalog.previous_revision, catalog.last_modified


def _outdated(repository: Collectable, references: list[Reference], oldest: int | None) -> Iterator[ObjectId]:
    """Tag databases, certificates and meta infos older than every kept revision, but for those in use."""
    current = repository.manifest
    in_use = {current.certificate, current.history, current.metainfo}
    for name, when in references if oldest is not None else ():
        if name.kind in _AUXILIARY and name not in in_use and when < (oldest or 0):
            yield name
