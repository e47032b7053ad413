"""From a repository's name and a place to fetch from to a manifest that may be believed.

Fetches what `trust.chain` asks for, in its order; every decision is made there.
"""

from __future__ import annotations

from datetime import datetime
from io import BytesIO

from swrepo.errors import ObjectNotFound, RepositoryNotFound
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.objects.store import DOCUMENT_LIMIT, Documents, ObjectSource, Want
from swrepo.repository.alternative import AlternativePaths
from swrepo.trust.chain import Chain, TrustAnchors, TrustedManifest


def trusted_manifest(
    fqrn: str,
    documents: Documents,
    objects: ObjectSource,
    anchors: TrustAnchors,
    now: datetime,
    last_seen: Breadcrumb | None = None,
) -> TrustedManifest:
    """Fetch manifest, whitelist and certificate and check all of them at the time `now` (aware).

    Raises RepositoryNotFound, TrustError in its kinds, CorruptCertificate, ObjectNotFound, Unreachable.
    """
    chain = Chain(fqrn, anchors, now)
    certificate = chain.manifest(_published(fqrn, documents))
    chain.whitelist(documents.read(WHITELIST))
    pem = BytesIO()
    AlternativePaths(objects, documents).fetch(Want(certificate, limit=DOCUMENT_LIMIT), pem)
    chain.certificate(pem.getvalue())
    return chain.seal(last_seen)


def _published(fqrn: str, documents: Documents) -> bytes:
    try:
        return documents.read(MANIFEST)
    except ObjectNotFound as error:
        raise RepositoryNotFound(f"there is no repository {fqrn}: {error}") from error
