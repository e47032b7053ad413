"""What is shown of a repository while no server answers: the manifest that `swrepo preload` left, checked anew.

It has to be vouched for as if a server had sent it: by a master key that is configured now, the whitelist, the
certificate, the local blacklist, and what was seen before. Only whether it was revoked since cannot be known; so a
whitelist that has expired meanwhile is no reason to refuse, as it is none for a mount that runs.
"""

from __future__ import annotations

import logging
import os
import shutil
from datetime import datetime, timedelta
from typing import BinaryIO

from swrepo.cache.notes import Signed
from swrepo.cache.tiered import Tier
from swrepo.errors import ObjectNotFound, WhitelistExpired
from swrepo.format import envelope, whitelist
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.objects.store import DOCUMENT_LIMIT, Documents, Want
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.trust.chain import TrustAnchors, TrustedManifest

log = logging.getLogger(__name__)


class Recording:
    """Documents that remembers what was read last under each name. For one thread at a time for each name."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._read: dict[str, bytes] = {}

    def read(self, name: str, limit: int = DOCUMENT_LIMIT) -> bytes:
        """See Documents."""
        found = self._read[name] = self._documents.read(name, limit)
        return found

    @property
    def signed(self) -> Signed | None:
        """Manifest and whitelist, where both were read."""
        if MANIFEST not in self._read or WHITELIST not in self._read:
            return None
        return Signed(self._read[MANIFEST], self._read[WHITELIST])


def kept_manifest(
    fqrn: str, cache: Tier, anchors: TrustAnchors, now: datetime, seen: Breadcrumb | None
) -> TrustedManifest | None:
    """The manifest that a cache keeps; None where it keeps none, or not its certificate. Raises TrustError."""
    signed = cache.read_signed(fqrn)
    if signed is None:
        return None
    here = _Here(signed, cache)
    try:
        return trusted_manifest(fqrn, here, here, anchors, now, seen)
    except WhitelistExpired as expired:
        expires = whitelist.parse(envelope.split(signed.whitelist).body).expires
        found = trusted_manifest(fqrn, here, here, anchors, expires - timedelta(hours=1), seen)
        log.warning("shown all the same, since no server can be asked for a newer one: %s", expired)
        return found
    except ObjectNotFound:
        return None


class _Here:
    """ObjectSource and Documents of what a cache has."""

    def __init__(self, signed: Signed, cache: Tier) -> None:
        self._documents = {MANIFEST: signed.manifest, WHITELIST: signed.whitelist}
        self._cache = cache

    def read(self, name: str, limit: int = DOCUMENT_LIMIT) -> bytes:
        """See Documents."""
        del limit  # they were bounded when they were read from the disk
        if name not in self._documents:
            raise ObjectNotFound(f"the cache does not keep {name}")
        return self._documents[name]

    def fetch(self, want: Want, out: BinaryIO) -> None:
        """See ObjectSource."""
        descriptor = self._cache.open_in_any(want)
        if descriptor is None:
            raise ObjectNotFound(f"the object {want.id} is not in the cache")
        with os.fdopen(descriptor, "rb") as file:
            shutil.copyfileobj(file, out)
