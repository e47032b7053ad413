"""From a repository's name and a place to fetch from to a manifest that may be believed.

Fetches what `trust.chain` asks for; every decision is made there, and in its order. What does not depend on one another
is fetched at the same time, for on a long link each wait costs as much as all the rest: manifest and whitelist, then
the certificate and what the caller will want next.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from io import BytesIO

from swrepo.errors import CorruptObject, ObjectNotFound, RepositoryNotFound, TrustError
from swrepo.format import envelope, manifest
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import ObjectId
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.objects.store import DOCUMENT_LIMIT, Documents, LocalObjects, ObjectSource, Want
from swrepo.repository.alternative import AlternativePaths
from swrepo.repository.meanwhile import Meanwhile
from swrepo.trust.chain import Chain, TrustAnchors, TrustedManifest

Ahead = Callable[[Manifest], object]
"""Fetches what will be wanted if this manifest turns out to be true. It is only a claim: nothing may be shown of it."""


def trusted_manifest(
    fqrn: str,
    documents: Documents,
    objects: ObjectSource,
    anchors: TrustAnchors,
    now: datetime,
    last_seen: Breadcrumb | None = None,
    *,
    nearby: LocalObjects | None = None,
    ahead: Ahead | None = None,
) -> TrustedManifest:
    """Fetch manifest, whitelist and certificate and check all of them at the time `now` (aware).

    `nearby` may have the certificate, and keeps it. `ahead` is called on another thread while the certificate is
    fetched; what it raises is not told, for whatever it is about will be asked for again.
    Raises RepositoryNotFound, TrustError in its kinds, CorruptCertificate, ObjectNotFound, Unreachable.
    """
    with Meanwhile(lambda: documents.read(WHITELIST)) as whitelist:
        raw = _published(fqrn, documents)

        def opened() -> tuple[Chain, ObjectId]:
            chain = Chain(fqrn, anchors, now)
            certificate = chain.manifest(raw)
            chain.whitelist(whitelist.result())
            return chain, certificate

        chain, certificate = opened()
    known = _known(certificate, nearby) if nearby is not None else None
    if known is not None:
        try:
            chain.certificate(known)
            return chain.seal(last_seen)
        except (TrustError, CorruptObject):
            # A file of ours may be damaged: what the server has decides, and the same error comes again if it is right.
            chain, certificate = opened()
            nearby = None
    claim = manifest.parse(envelope.split(raw).body)
    with Meanwhile(lambda: ahead(claim)) if ahead is not None else nullcontext():
        chain.certificate(_fetched(certificate, documents, objects, nearby))
        return chain.seal(last_seen)


def _published(fqrn: str, documents: Documents) -> bytes:
    try:
        return documents.read(MANIFEST)
    except ObjectNotFound as error:
        raise RepositoryNotFound(f"there is no repository {fqrn}: {error}") from error


def _known(certificate: ObjectId, nearby: LocalObjects) -> bytes | None:
    descriptor = nearby.open_if_here(Want(certificate, limit=DOCUMENT_LIMIT))
    return None if descriptor is None else _read(descriptor)


def _fetched(certificate: ObjectId, documents: Documents, objects: ObjectSource, nearby: LocalObjects | None) -> bytes:
    want = Want(certificate, limit=DOCUMENT_LIMIT)
    if nearby is not None:
        return _read(nearby.open(want))
    pem = BytesIO()
    AlternativePaths(objects, documents).fetch(want, pem)
    return pem.getvalue()


def _read(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read(DOCUMENT_LIMIT)
