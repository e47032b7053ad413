"""Opens a repository for publishing and refuses, before any work is done, what could not be signed in the end."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from swrepo.catalog.reader import CatalogFile
from swrepo.errors import CertificateNotListed, NotFound, PermissionRefused, PublishError
from swrepo.format import envelope, whitelist
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import ObjectId
from swrepo.format.wellknown import WHITELIST
from swrepo.objects.store import Want
from swrepo.publish import checkout, settings
from swrepo.publish.checkout import Checkout
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.plain import PlainObjects
from swrepo.publish.settings import RepositorySettings
from swrepo.publish.storage import OpenStorage, Storage
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.system.atomic import make_directory, remove_leftovers
from swrepo.system.ownership import leave_to_owner
from swrepo.trust.chain import TrustAnchors
from swrepo.trust.keys import Certificate, PublicKey
from swrepo.trust.signer import SigningKey


@dataclass(frozen=True, slots=True)
class Base:
    """The revision that the next one is made from: the newest, or the one that was checked out.

    In a template transaction `root` has the clone too, and is not the revision `replaces` that was published.
    """

    root: ObjectId
    size: int | None
    revision: int
    replaces: ObjectId

    @property
    def is_template(self) -> bool:
        """Whether there is more in it than what was published."""
        return self.root != self.replaces


@dataclass(frozen=True, slots=True)
class OpenRepository:
    """A repository whose keys, whitelist and manifest are in order. `objects` are plain ones."""

    places: RepositoryPlaces
    settings: RepositorySettings
    storage: Storage
    objects: PlainObjects
    key: SigningKey
    certificate_pem: bytes
    manifest: Manifest
    checkout: Checkout | None
    base: Base


def open_repository(
    places: RepositoryPlaces, open_storage: OpenStorage, now: datetime, *, unfinished: bool = False
) -> OpenRepository:
    """Open the repository, whose lock the caller holds.

    Raises NotFound where it was never created, TrustError where nobody would believe what it publishes (expired
    whitelist, certificate not listed), PermissionRefused without its keys.
    """
    found = settings.load(places.server_conf)
    if places.unfinished.exists():
        raise PublishError(f"the creation of {places.fqrn} was interrupted; run mkfs again before publishing")
    if places.importing.exists() and not unfinished:
        raise PublishError(f"the import of {places.fqrn} was interrupted; run import again before publishing")
    key = SigningKey.load(_read_key(places.keys.signing))
    certificate_pem = _read_key(places.keys.certificate)
    certificate = Certificate.parse(certificate_pem)
    if certificate.public_key != key.public_key:
        raise PublishError(f"{places.keys.certificate} is not the certificate of {places.keys.signing}")
    storage = open_storage(places)
    anchors = TrustAnchors(PublicKey.parse_all(_read_key(places.keys.public)))
    trusted = trusted_manifest(places.fqrn, storage.documents, storage.source, anchors, now)
    _check_listed(certificate, storage)
    _empty(places.scratch)
    remove_leftovers(places.spool)
    objects = PlainObjects(storage.source, places.scratch)
    checked_out = checkout.read(places)
    base = _with_template(_base(trusted.manifest, checked_out, objects), places)
    return OpenRepository(places, found, storage, objects, key, certificate_pem, trusted.manifest, checked_out, base)


def _base(manifest: Manifest, checked_out: Checkout | None, objects: PlainObjects) -> Base:
    if checked_out is None:
        return Base(manifest.root_catalog, manifest.root_size, manifest.revision, manifest.root_catalog)
    descriptor = objects.open(Want(checked_out.root))
    try:
        with closing(CatalogFile.open(descriptor)) as catalog:
            return Base(checked_out.root, None, catalog.revision, checked_out.root)
    finally:
        os.close(descriptor)


def _with_template(base: Base, places: RepositoryPlaces) -> Base:
    """What the open transaction starts from. PublishError where another publication overtook a template."""
    if not places.in_transaction.exists():
        return base
    from swrepo.publish import template  # here: a work tree has no transactions

    found = template.read(places)
    if found is None:
        return base
    if found.replaces != base.root:
        raise PublishError(
            f"{places.fqrn} was published while a transaction with a template (-T) was open, which holds for the "
            "revision before only; abort it, and clone anew"
        )
    return Base(found.root, found.size, base.revision, base.root)


def _check_listed(certificate: Certificate, storage: Storage) -> None:
    """The whole chain holds for the last manifest's certificate; the key may have changed since."""
    listed = whitelist.parse(envelope.split(storage.documents.read(WHITELIST)).body)
    if all(certificate.fingerprint(entry.algorithm) != entry for entry in listed.fingerprints):
        raise CertificateNotListed(
            f"the certificate of {listed.fqrn} is not on its whitelist, so no client would believe what it signs; "
            "sign a new whitelist with the master key (resign)"
        )


def _read_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"the key file {path} is missing; restore it from where the keys are kept") from error
    except PermissionError as error:
        raise PermissionRefused(f"cannot read the key file {path}; run as the repository's owner") from error


def _empty(scratch: Path) -> None:
    """Make the directory, without what a killed process left in it."""
    if scratch.exists():
        if not os.listdir(scratch):
            return
        import shutil  # here: something is there after a crash only

        shutil.rmtree(scratch)
    make_directory(scratch, 0o700)
    leave_to_owner(scratch)
