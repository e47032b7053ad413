"""A repository whose garbage can be collected: one that is published here, or the copy of one that is not.

A copy has no keys: nothing is signed after a collection, and only its own reference log is written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swrepo.errors import ObjectNotFound, PublishError
from swrepo.format import envelope
from swrepo.format import manifest as manifests
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import ObjectId
from swrepo.format.wellknown import MANIFEST
from swrepo.objects.directory import writing
from swrepo.publish import replica_log, replica_settings
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.opening import OpenRepository
from swrepo.publish.plain import PlainObjects
from swrepo.publish.replica_settings import ReplicaSettings
from swrepo.publish.storage import Storage, reading
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.system.atomic import make_directory, write_atomically
from swrepo.system.lock import exclusive
from swrepo.system.ownership import leave_to_owner
from swrepo.upkeep.opening import Keeper


@dataclass(frozen=True, slots=True)
class Collectable:
    """What a collection works on. `scratch`: a directory for files on the way; `forget`: tells what is gone."""

    places: RepositoryPlaces
    storage: Storage
    objects: PlainObjects
    manifest: Manifest
    scratch: Path
    forget: Callable[[list[ObjectId]], object]


@contextmanager
def collectable(keeper: Keeper, name: str, purpose: str, *, dry_run: bool) -> Iterator[Collectable]:
    """The repository, with its lock. PublishError where nothing of it may be collected; Busy, TrustError, NotFound."""
    places = keeper.layout.repository(name)
    if replica_settings.is_replica(places):
        with exclusive(places.lock, f"{purpose} {name}"), writing(places.spool):
            yield _copy(keeper, places, dry_run=dry_run)
        return
    with keeper.open(name, purpose) as repository:
        _refuse(repository)

        def forget(gone: list[ObjectId]) -> None:
            keeper.sealer(repository).forget(repository.manifest, gone)

        storage, manifest = repository.storage, repository.manifest
        yield Collectable(places, storage, repository.objects, manifest, places.scratch, forget)


def may_collect(places: RepositoryPlaces) -> bool:
    """Whether `gc -a` collects it: what is published here by its settings, an active copy by its manifest."""
    wanted = replica_settings.of_any(places)
    if not isinstance(wanted, ReplicaSettings):
        return wanted.garbage_collectable
    if not wanted.is_active or wanted.is_passthrough:
        return False
    try:
        raw = reading(places).read(MANIFEST)
    except ObjectNotFound:
        return False
    return manifests.parse(envelope.split(raw).body).garbage_collectable


def _copy(keeper: Keeper, places: RepositoryPlaces, *, dry_run: bool) -> Collectable:
    wanted, storage = replica_settings.load(places), keeper.open_storage(places)
    trusted = trusted_manifest(wanted.fqrn, storage.documents, storage.source, wanted.anchors(), keeper.now())
    manifest = trusted.manifest
    if not manifest.garbage_collectable:
        raise PublishError(f"{places.fqrn} is not garbage collectable: its stratum 0 keeps every revision")
    scratch = places.replicating
    make_directory(scratch, 0o700)
    leave_to_owner(scratch)
    for leftover in scratch.glob("objects.db*"):
        leftover.unlink()
    if not dry_run:
        # What a replication had begun to copy may name some of what goes: the next one looks at everything.
        write_atomically(places.unsettled, b"")

    def forget(gone: list[ObjectId]) -> None:
        replica_log.rewrite(
            places,
            wanted.fqrn,
            storage.documents,
            scratch,
            int(keeper.now().timestamp()),
            gone=gone,
            algorithm=manifest.root_catalog.algorithm,
        )

    return Collectable(places, storage, PlainObjects(storage.source, scratch), manifest, scratch, forget)


def _refuse(repository: OpenRepository) -> None:
    fqrn = repository.places.fqrn
    if not repository.settings.garbage_collectable:
        raise PublishError(
            f"{fqrn} is not garbage collectable: every revision of it is kept; set CVMFS_GARBAGE_COLLECTION=true in "
            f"{repository.places.server_conf} and publish, if old revisions may go"
        )
    if not repository.manifest.garbage_collectable:
        raise PublishError(f"the manifest of {fqrn} does not allow garbage collection yet; publish once before it")
