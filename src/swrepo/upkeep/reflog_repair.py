"""Mends the reference log: its checksum where another tool wrote last, the log itself where it is gone."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from tempfile import NamedTemporaryFile

from swrepo.catalog.reader import CatalogFile
from swrepo.errors import FormatError, NotFound, ObjectNotFound
from swrepo.format import envelope
from swrepo.format import manifest as manifests
from swrepo.format.object_id import ObjectId
from swrepo.format.wellknown import MANIFEST, REFLOG
from swrepo.objects.directory import writing
from swrepo.objects.store import Want
from swrepo.publish import replica_settings
from swrepo.publish.opening import OpenRepository
from swrepo.publish.storage import reading
from swrepo.repository.history import open_history
from swrepo.repository.reflog import ReflogFile, ReflogWriter
from swrepo.system.atomic import write_atomically
from swrepo.system.lock import exclusive
from swrepo.upkeep.opening import Keeper

_REFLOG_LIMIT = 1 << 30


def repair(keeper: Keeper, fqrn: str) -> str:
    """What was done; empty where there was nothing to do. FormatError where the log itself is damaged."""
    places = keeper.layout.repository(fqrn)
    storage, checksum_file = reading(places), places.reflog_checksum
    with exclusive(places.lock, f"repairing {fqrn}"), writing(places.spool):
        algorithm = manifests.parse(envelope.split(storage.read(MANIFEST)).body).root_catalog.algorithm
        try:
            data = storage.read(REFLOG, _REFLOG_LIMIT)
        except ObjectNotFound:
            data = b""
        if data:
            _examine(data, replica_settings.identity(places)[0])
            right = f"{ObjectId.of(data, algorithm)}\n".encode()
            if checksum_file.exists() and checksum_file.read_bytes() == right:
                return ""
            write_atomically(checksum_file, right)
            return f"the checksum of {REFLOG} was written anew"
    if replica_settings.is_replica(places):
        raise NotFound(f"{REFLOG} of the replica {fqrn} is missing; the next snapshot begins a new one")
    with keeper.open(fqrn, "making the reference log of") as repository:
        count = _made_anew(keeper, repository)
    return f"{REFLOG} was missing and was made anew from {count} revisions that are left"


def _examine(data: bytes, fqrn: str) -> None:
    with NamedTemporaryFile(suffix=".db") as file:
        file.write(data)
        file.flush()
        with closing(ReflogFile.open(Path(file.name))) as log:
            if log.fqrn != fqrn:
                raise FormatError(f"{REFLOG} is that of {log.fqrn!r}; restore it from a backup or replica")
            log.references()


def _made_anew(keeper: Keeper, repository: OpenRepository) -> int:
    """A log of all that can be reached from revision to revision and from tag to tag; how many revisions that are.

    Killed between its writing and the manifest's, it leaves a log whose checksum is the one beside the repository.
    """
    manifest, file = repository.manifest, repository.places.scratch / "reflog-anew"
    writer = ReflogWriter(file, repository.places.fqrn)
    roots = [manifest.root_catalog]
    name = manifest.history
    while name is not None:
        try:
            with closing(open_history(name, repository.objects)) as history:
                writer.add(name, manifest.timestamp or 0)
                roots += [tag.root for tag in history.tags()]
                name = history.previous_revision
        except ObjectNotFound:
            break
    found = _revisions(repository, roots)
    for root, when in found.items():
        writer.add(root, when)
    writer.finish()
    data = file.read_bytes()
    file.unlink()
    checksum = ObjectId.of(data, repository.settings.encoder.algorithm)
    write_atomically(repository.places.reflog_checksum, f"{checksum}\n".encode())
    repository.storage.documents.write(REFLOG, data)
    keeper.sealer(repository).forget(manifest, ())
    return len(found)


def _revisions(repository: OpenRepository, roots: list[ObjectId]) -> dict[ObjectId, int]:
    """The root catalogs that are left, and when they were made: these, and from each to the one before it."""
    found: dict[ObjectId, int] = {}
    for start in roots:
        name: ObjectId | None = start
        while name is not None and name not in found:
            try:
                descriptor = repository.objects.open(Want(name))
            except ObjectNotFound:
                break
            try:
                with closing(CatalogFile.open(descriptor)) as catalog:
                    found[name], name = catalog.last_modified, catalog.previous_revision
            finally:
                os.close(descriptor)
    return found
