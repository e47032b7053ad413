"""The end of a replication: everything is here, and is shown. The manifest is written last."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from swrepo.errors import ObjectNotFound
from swrepo.format.object_id import ObjectId
from swrepo.format.wellknown import ALTERNATIVE_PREFIX, LAST_SNAPSHOT, MANIFEST, PUBLIC_KEY, WHITELIST
from swrepo.objects.store import CATALOG_LIMIT, WritableDocuments
from swrepo.publish import replica_log
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.storage import Storage
from swrepo.replica.origin import Published
from swrepo.trust.chain import TrustAnchors
from swrepo.upkeep import published_status


def show(
    fqrn: str,
    found: Published,
    places: RepositoryPlaces,
    storage: Storage,
    anchors: TrustAnchors,
    noted: Iterable[ObjectId],
    now: datetime,
) -> None:
    """Have readers see what was copied of `fqrn`, which may have another name here.

    `noted`: what the reference log has to name, so that nothing of it goes.
    """
    current, documents = found.manifest, storage.documents
    replica_log.rewrite(
        places,
        fqrn,
        documents,
        places.replicating,
        int(now.timestamp()),
        dict.fromkeys(noted),
        algorithm=current.root_catalog.algorithm,
    )
    if current.alt_catalog_path:
        for name in (current.root_catalog, current.certificate, current.history, current.metainfo):
            if name is not None:
                documents.write(ALTERNATIVE_PREFIX + name.name, documents.read(name.path, CATALOG_LIMIT))
    _write(documents, PUBLIC_KEY, b"".join(key.pem for key in anchors.keys))
    _write(documents, WHITELIST, found.whitelist)
    _write(documents, MANIFEST, found.trusted.raw)
    moment = published_status.moment(now)
    published_status.update(documents, last_snapshot=moment)
    documents.write(LAST_SNAPSHOT, f"{moment}\n".encode())


def _write(documents: WritableDocuments, name: str, data: bytes) -> None:
    """Caches keep what stays the same."""
    try:
        if documents.read(name) == data:
            return
    except ObjectNotFound:
        pass
    documents.write(name, data)
