"""A repository's meta information: a JSON document that its manifest names. Source: format.md 3 (M) and 13."""

from __future__ import annotations

from dataclasses import replace

from swrepo.catalog.nested import NestedRef
from swrepo.errors import UsageError
from swrepo.format import envelope, manifest
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.wellknown import MANIFEST
from swrepo.objects.directory import writing
from swrepo.objects.store import DOCUMENT_LIMIT
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.opening import open_repository
from swrepo.publish.plain import PlainObjects, read_object
from swrepo.publish.renewal import Renewer
from swrepo.publish.seal import Sealer
from swrepo.publish.server_list import json_object
from swrepo.publish.storage import reading
from swrepo.system.atomic import make_directory
from swrepo.system.lock import exclusive


def read_metainfo(places: RepositoryPlaces) -> bytes:
    """The document as it is published; empty where there is none."""
    stored = reading(places)
    name = manifest.parse(envelope.split(stored.read(MANIFEST)).body).metainfo
    if name is None:
        return b""
    make_directory(places.scratch, 0o700)
    return read_object(PlainObjects(stored, places.scratch), name)


def write_metainfo(places: RepositoryPlaces, raw: bytes, renewer: Renewer) -> ObjectId:
    """Publish the document with the revision that is current. UsageError or FormatError where it is no JSON object."""
    if len(raw) > DOCUMENT_LIMIT:
        raise UsageError(f"meta information of {len(raw)} bytes; clients take {DOCUMENT_LIMIT} at most")
    json_object(raw, "the meta information")
    with exclusive(places.lock, f"describing {places.fqrn}", renewer.seconds), writing(places.spool):
        repository = open_repository(places, renewer.open_storage, renewer.now)
        sealer, old = Sealer.of(repository, renewer.clock_ns() // 1_000_000), repository.manifest
        name = sealer.save(raw, Kind.METAINFO)
        sealer.amend(replace(old, metainfo=name), NestedRef(b"", old.root_catalog, old.root_size), None)
    return name
