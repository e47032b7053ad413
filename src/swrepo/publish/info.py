"""What a server can tell of its repositories, without their private keys."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from swrepo.catalog.counters import Counters
from swrepo.errors import SwrepoError
from swrepo.format import envelope, manifest, whitelist
from swrepo.format.manifest import Manifest
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.net.s3_objects import S3Objects
from swrepo.objects.directory import DirectoryObjects
from swrepo.publish import settings, storage
from swrepo.publish.layout import RepositoryPlaces, ServerLayout
from swrepo.publish.plain import PlainObjects
from swrepo.publish.settings import RepositorySettings
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.repository.history import Tag, open_history
from swrepo.repository.revision import Revision
from swrepo.trust.chain import TrustAnchors
from swrepo.trust.keys import PublicKey


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    """The state of one repository. `trouble` says why clients would refuse it at that moment, or is empty."""

    places: RepositoryPlaces
    settings: RepositorySettings
    manifest: Manifest
    counters: Counters
    whitelist_expires: datetime
    trouble: str

    @property
    def published(self) -> datetime | None:
        """When the current revision was published (UTC)."""
        timestamp = self.manifest.timestamp
        return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)


def info(layout: ServerLayout, fqrn: str, now: datetime) -> RepositoryInfo:
    """The repository as it is served now. NotFound where it was never created."""
    places = layout.repository(fqrn)
    found = settings.load(places.server_conf)
    documents = storage.reading(places)
    with _objects(places) as objects:
        current = manifest.parse(envelope.split(documents.read(MANIFEST)).body)
        listed = whitelist.parse(envelope.split(documents.read(WHITELIST)).body)
        with Revision(current.root_catalog, objects, current.root_size) as revision:
            counters = revision.tree.root.counters().total
    return RepositoryInfo(places, found, current, counters, listed.expires, _trouble(places, documents, now))


def list_tags(layout: ServerLayout, fqrn: str) -> tuple[Tag, ...]:
    """The tags of the repository, newest first. NotFound where it was never created."""
    places = layout.repository(fqrn)
    settings.load(places.server_conf)
    current = manifest.parse(envelope.split(storage.reading(places).read(MANIFEST)).body)
    if current.history is None:
        return ()
    with _objects(places) as objects:
        history = open_history(current.history, objects)
        try:
            return history.tags()
        finally:
            history.close()


def _trouble(places: RepositoryPlaces, documents: DirectoryObjects | S3Objects, now: datetime) -> str:
    try:
        anchors = TrustAnchors(PublicKey.parse_all(places.keys.public.read_bytes()))
        trusted_manifest(places.fqrn, documents, documents, anchors, now)
    except OSError as error:
        return f"the public key {places.keys.public} cannot be read: {error.strerror}"
    except SwrepoError as error:
        return str(error)
    return ""


@contextmanager
def _objects(places: RepositoryPlaces) -> Iterator[PlainObjects]:
    """Readers need no part of the spool directory, which may be another user's."""
    with tempfile.TemporaryDirectory() as scratch:
        yield PlainObjects(storage.reading(places), Path(scratch))
