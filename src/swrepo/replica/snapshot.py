"""A replication from beginning to end: what the origin publishes now is here when it ends, and is only then shown.

    lock -> may it be copied, and what is published (verified) -> tag database -> newest revision -> revisions since the
    last copy -> tagged revisions -> reference log -> whitelist -> manifest

Killed at any moment, readers see the copy as it was before; what came is not fetched again. Where the origin moves on
meanwhile and has collected what was about to be copied, the newer state is copied instead.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field

from swrepo.catalog.nested import NestedRef
from swrepo.config import moments
from swrepo.errors import NotFound, ObjectNotFound, SwrepoError, Unreachable, UsageError
from swrepo.format import envelope
from swrepo.format import manifest as manifests
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import ROOT
from swrepo.format.wellknown import (
    LAST_SNAPSHOT,
    MANIFEST,
    SNAPSHOTTING,
)
from swrepo.objects.directory import writing
from swrepo.objects.store import Documents
from swrepo.publish import replica_settings
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.plain import PlainObjects
from swrepo.publish.progress import Phase, Progress, Silent
from swrepo.publish.replica_settings import ReplicaSettings
from swrepo.publish.storage import Storage, reading
from swrepo.replica.carrying import Carrier
from swrepo.replica.catalogs import Catalogs, discard_unfinished
from swrepo.replica.copying import Copier
from swrepo.replica.origin import Origin, Published
from swrepo.replica.showing import show
from swrepo.repository.history import Tag, open_history
from swrepo.system.atomic import make_directory, write_atomically
from swrepo.system.lock import exclusive
from swrepo.system.ownership import leave_to_owner
from swrepo.trust.chain import TrustAnchors
from swrepo.upkeep import published_status
from swrepo.upkeep.opening import Keeper

_TRIES = 5
"""So often a replication begins anew because the origin moved on."""


@dataclass(slots=True)
class Copied:
    """What a replication did. `objects` were looked at, catalogs among them; bytes are stored ones.

    `is_first`: there was no copy before. `skipped`: what was said of revisions that are not whole at the origin any
    more.
    """

    revision: int = 0
    before: int | None = None
    is_first: bool = False
    objects: int = 0
    fetched: int = 0
    fetched_bytes: int = 0
    catalogs: int = 0
    revisions: int = 0
    tags: int = 0
    remarks: list[str] = field(default_factory=list)

    @property
    def is_new(self) -> bool:
        """Whether another revision is shown than before."""
        return self.revision != self.before


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One replication. `thorough`: also catalogs that are here are gone through, for what is missing below them."""

    keeper: Keeper
    progress: Progress = Silent()  # noqa: RUF009 - has no state
    thorough: bool = False
    say: Callable[[str], object] = lambda _: None
    waiting: Callable[[str], object] | None = None
    """Told who is at work on the copy before that is waited for; None: Busy. A first copy is never waited for."""
    open_origin: Callable[[ReplicaSettings], Origin] = Origin

    def run(self, alias: str) -> Copied:
        """Copy. Raises TrustError, PermissionRefused (not replicable), Unreachable, CorruptObject, CacheFull, Busy."""
        places = self.keeper.layout.repository(alias)
        wanted = replica_settings.load(places)
        if wanted.is_passthrough:
            raise UsageError(
                f"{alias} is a pass-through repository: requests go to {wanted.stratum0}, nothing is copied"
            )
        anchors = wanted.anchors()
        waiting = self.waiting if _has(reading(places), LAST_SNAPSHOT) else None
        with (
            exclusive(places.lock, f"replicating {alias}", waiting=waiting),
            writing(places.spool),
            self._storage(places) as storage,
            self.open_origin(wanted) as origin,
        ):
            return _Run(self, places, wanted, anchors, storage, origin).copy()

    @contextmanager
    def _storage(self, places: RepositoryPlaces) -> Iterator[Storage]:
        """The storage, which says that it is being copied to."""
        storage = self.keeper.open_storage(places)
        storage.documents.write(SNAPSHOTTING, f"{published_status.moment(self.keeper.now())}\n".encode())
        try:
            yield storage
        finally:
            with suppress(SwrepoError):
                storage.documents.remove(SNAPSHOTTING)


class _Run:
    """One run, which may begin anew where the origin moves on."""

    def __init__(
        self,
        snapshot: Snapshot,
        places: RepositoryPlaces,
        wanted: ReplicaSettings,
        anchors: TrustAnchors,
        storage: Storage,
        origin: Origin,
    ) -> None:
        self._snapshot, self._keeper = snapshot, snapshot.keeper
        self._places, self._wanted, self._anchors = places, wanted, anchors
        self._storage, self._origin = storage, origin
        self._copied = Copied()
        self._noted: list[ObjectId] = []
        self._trusts = False

    def copy(self) -> Copied:
        self._origin.check_replicable()
        shown = self._shown()
        self._copied.before = None if shown is None else shown.revision
        self._copied.is_first = not _has(self._storage.documents, LAST_SNAPSHOT)
        self._trusts = not (self._snapshot.thorough or self._places.unsettled.exists())
        found = self._newest(self._published(shown), shown)
        if shown is not None and not self._copied.is_first:
            self._revisions_between(found.manifest, shown.root_catalog)
        show(self._wanted.fqrn, found, self._places, self._storage, self._anchors, self._noted, self._keeper.now())
        self._copied.revision = found.manifest.revision
        self._copied.objects += self._copied.catalogs
        shutil.rmtree(self._places.replicating, ignore_errors=True)
        self._places.unsettled.unlink(missing_ok=True)
        return self._copied

    def _newest(self, found: Published, shown: Manifest | None) -> Published:
        """Copy what is published, or what is published by then: what was copied."""
        for _ in range(_TRIES):
            try:
                with self._tools() as copier:
                    self._revisions(found.manifest, copier)
            except ObjectNotFound as error:
                newer = self._published(shown)
                if newer.manifest == found.manifest:
                    raise
                self._snapshot.say(f"the stratum 0 has moved on to revision {newer.manifest.revision}: {error}")
                found = newer
            else:
                return found
        raise Unreachable(
            f"the stratum 0 of {self._places.fqrn} publishes and collects faster than this server can copy; what came "
            "stays, so try again"
        )

    @contextmanager
    def _tools(self) -> Iterator[Copier]:
        """What copies. While it does, the mark `unsettled` is there."""
        places, workers = self._places, self._wanted.workers
        scratch = places.replicating
        make_directory(scratch, 0o700)
        leave_to_owner(scratch)
        discard_unfinished(scratch / "catalogs")
        write_atomically(places.unsettled, b"")
        storage, progress, copied = self._storage, self._snapshot.progress, self._copied
        progress.phase(Phase.REPLICATING)
        progress.expect(0, 0)
        with self._settling(), ExitStack() as stack:
            catalogs = Catalogs(self._origin, storage.source, storage.store, scratch / "catalogs", workers)
            stack.callback(catalogs.close)
            carrier = Carrier(self._origin, storage.store, scratch, workers, progress.advance)
            stack.callback(carrier.close)
            try:
                yield Copier(catalogs, carrier, storage.store, self._trusts, self._saw)
            finally:
                copied.objects += carrier.carried.objects
                copied.fetched += carrier.carried.fetched + catalogs.fetched
                copied.fetched_bytes += carrier.carried.fetched_bytes + catalogs.fetched_bytes

    @contextmanager
    def _settling(self) -> Iterator[None]:
        """Remove the mark where what failed left no catalog before its contents: in a directory they come in order."""
        try:
            yield
        except BaseException:
            if self._trusts and self._places.is_local:
                self._places.unsettled.unlink(missing_ok=True)
            raise

    def _saw(self, _: NestedRef) -> None:
        self._copied.catalogs += 1
        self._snapshot.progress.advance(1, 0)

    def _revisions(self, current: Manifest, copier: Copier) -> None:
        """Copy everything that the manifest reaches, and the tags."""
        self._noted = [current.root_catalog]
        for name in (current.certificate, current.metainfo, current.history):
            if name is not None:
                copier.carrier.want(name, None)
                self._noted.append(name)
        copier.settle()
        tags = self._tags(current)
        self._copied.revisions += copier.copy(NestedRef(ROOT, current.root_catalog, current.root_size))
        copier.settle()
        for tag in tags:
            self._copied.revisions += copier.copy(NestedRef(ROOT, tag.root, tag.size))
            self._noted.append(tag.root)
        copier.settle()
        self._copied.tags = len(tags)

    def _revisions_between(self, current: Manifest, last: ObjectId) -> None:
        """Those that were published since the last copy, as far back as they are there, and would be kept."""
        oldest = 0
        if current.garbage_collectable:
            oldest = int(moments.parse(self._wanted.auto_gc_timespan, self._keeper.now()).timestamp())
        name: ObjectId | None = current.root_catalog
        while name is not None and name != last:
            try:
                with self._tools() as copier:
                    name = self._one_between(name, oldest, copier)
            except ObjectNotFound as error:
                if not current.garbage_collectable:
                    raise
                self._copied.remarks.append(f"an older revision was collected meanwhile and is not copied: {error}")
                return

    def _one_between(self, name: ObjectId, oldest: int, copier: Copier) -> ObjectId | None:
        """Copy a revision, unless it is there; the one before it, None where that is the last to be looked at."""
        root = NestedRef(ROOT, name, None)
        if name not in self._noted and copier.has(name):  # so are those before it
            self._noted.append(name)
            return None
        previous, modified = copier.predecessor(root)
        if name in self._noted:  # the newest, or it has a tag
            return previous
        if modified < oldest:
            return None
        self._copied.revisions += copier.copy(root)
        copier.settle()
        self._noted.append(name)
        return previous

    def _published(self, shown: Manifest | None) -> Published:
        last = None if shown is None else Breadcrumb(shown.root_catalog, shown.timestamp or 0, shown.revision)
        return self._origin.published(self._anchors, self._keeper.now, last)

    def _shown(self) -> Manifest | None:
        """What the copy shows now."""
        try:
            return manifests.parse(envelope.split(self._storage.documents.read(MANIFEST)).body)
        except ObjectNotFound:
            return None

    def _tags(self, current: Manifest) -> tuple[Tag, ...]:
        if current.history is None:
            return ()
        objects = PlainObjects(self._storage.source, self._places.replicating)
        with closing(open_history(current.history, objects)) as history:
            return history.tags()


def _has(documents: Documents, name: str) -> bool:
    try:
        documents.read(name)
    except NotFound:
        return False
    return True
