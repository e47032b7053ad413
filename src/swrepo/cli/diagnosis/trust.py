"""What a repository is signed with, link by link: manifest, whitelist, certificate, root catalog."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from swrepo.cache.notes import BREADCRUMB
from swrepo.catalog.reader import CatalogFile
from swrepo.cli.diagnosis.finding import Finding, error, ok, warning
from swrepo.cli.output import size_text
from swrepo.client.request import AccessRequest
from swrepo.errors import (
    CertificateBlacklisted,
    CertificateNotListed,
    CorruptObject,
    FormatError,
    NotFound,
    RevisionBlacklisted,
    Rollback,
    SwrepoError,
    TrustError,
    Unreachable,
    UntrustedSignature,
    WhitelistExpired,
    WrongRepository,
)
from swrepo.format import blacklist, envelope, manifest, whitelist
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.manifest import Manifest
from swrepo.format.paths import ROOT
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.objects.store import DOCUMENT_LIMIT, Documents, ObjectSource, Want
from swrepo.repository.alternative import AlternativePaths
from swrepo.trust.chain import Chain, TrustAnchors
from swrepo.trust.keys import PublicKey

_SOON = timedelta(days=3)
_LARGEST_CATALOG = 64 << 20

_MENDS: dict[type[SwrepoError], str] = {
    UntrustedSignature: "get the owner's public key:  PointToCVMFS HOST, or copy it to the keys directory",
    WhitelistExpired: "its owner has to sign it again ('cvmfs_server resign' there), or this machine's clock is wrong",
    CertificateNotListed: "its owner has to put the certificate on the whitelist ('cvmfs_server resign' there)",
    CertificateBlacklisted: "the administrator of this machine has banned it: see CVMFS_BLACKLIST",
    RevisionBlacklisted: "the administrator of this machine has banned it: see CVMFS_BLACKLIST",
    WrongRepository: "correct CVMFS_SERVER_URL: it has to end in @fqrn@ or the repository's name",
    Rollback: "the server or a proxy has an old copy: use another; if it was really set back, cvmfs_config wipecache",
    Unreachable: "see the lines about names, connections and proxies",
    NotFound: "the server lacks a part of the repository: use another server, tell its operator",
    CorruptObject: "the server or a proxy has a damaged copy: use another server, tell its operator",
    TrustError: "what arrives was altered on its way, or on the server: use another server, tell its operator",
}


def trust(request: AccessRequest, documents: Documents, objects: ObjectSource, now: datetime) -> Iterator[Finding]:
    """Each link with what it says; ends with the first that does not hold."""
    area = "manifest"
    try:
        raw = documents.read(MANIFEST)
        claim = manifest.parse(envelope.split(raw).body)
        fqrn = request.fqrn or claim.fqrn or ""
        chain = Chain(fqrn, _anchors(request), now)
        certificate = chain.manifest(raw)
        yield _manifest(claim, now)
        area = "whitelist"
        raw_whitelist = documents.read(WHITELIST)
        chain.whitelist(raw_whitelist)
        yield _whitelist(raw_whitelist, now)
        area = "certificate"
        pem = BytesIO()
        source = AlternativePaths(objects, documents)
        source.fetch(Want(certificate, limit=DOCUMENT_LIMIT), pem)
        chain.certificate(pem.getvalue())
        yield ok("certificate", f"{certificate.text[:12]}... is on the whitelist and has signed the manifest")
        chain.seal(_seen(request.cache, fqrn))
        area = "catalog"
        yield _catalog(claim, source)
    except SwrepoError as failure:
        yield error(area, str(failure), _mend(failure))


def _anchors(request: AccessRequest) -> TrustAnchors:
    """Keys and blacklists that can be read; what is wrong with the others is said elsewhere."""
    keys: list[PublicKey] = []
    for path in request.keys:
        with suppress(OSError, FormatError):
            keys += PublicKey.parse_all(path.read_bytes())
    banned = ""
    for path in request.blacklists:
        with suppress(OSError):
            banned += path.read_text("utf-8", "replace") + "\n"
    return TrustAnchors(tuple(keys), blacklist.parse(banned))


def _manifest(claim: Manifest, now: datetime) -> Finding:
    published = datetime.fromtimestamp(claim.timestamp, UTC) if claim.timestamp else None
    when = f", published {published:%Y-%m-%d %H:%M} UTC" if published else ""
    text = f"revision {claim.revision} of {claim.fqrn}{when}"
    if published is not None and published > now + timedelta(minutes=10):
        return warning(
            "manifest", f"{text}, which is in the future", "this machine's clock, or the publisher's, is wrong"
        )
    return ok("manifest", text)


def _whitelist(raw: bytes, now: datetime) -> Finding:
    expires = whitelist.parse(envelope.split(raw).body).expires
    text = f"signed by a trusted key, valid until {expires:%Y-%m-%d %H:%M} UTC ({(expires - now).days} days)"
    if expires - now < _SOON:
        return warning("whitelist", text, "its owner has to sign it again soon ('cvmfs_server resign' there)")
    return ok("whitelist", text)


def _seen(cache: Path, fqrn: str) -> Breadcrumb | None:
    """The newest manifest that was trusted on this machine."""
    with suppress(OSError, FormatError, UnicodeDecodeError):
        return Breadcrumb.parse((cache / f"{BREADCRUMB}{fqrn}").read_text("ascii"))
    return None


def _catalog(claim: Manifest, source: ObjectSource) -> Finding:
    if claim.root_size is not None and claim.root_size > _LARGEST_CATALOG:
        mend = "nested catalogs make it smaller (.cvmfscatalog)"
        return warning("catalog", f"the root catalog has {size_text(claim.root_size)}; it was not fetched", mend)
    with tempfile.NamedTemporaryFile(prefix="swrepo-") as file:
        source.fetch(Want(claim.root_catalog, size=claim.root_size), cast("BinaryIO", file))
        file.flush()
        with closing(CatalogFile.open(file.fileno())) as catalog:
            entries = sum(1 for _ in catalog.listing(ROOT))
    return ok("catalog", f"the root catalog is in order: {entries:,} entries at the top")


def _mend(failure: SwrepoError) -> str:
    return next((text for kind, text in _MENDS.items() if isinstance(failure, kind)), "see the message")
