"""A repository without a mount: from addresses, keys and a cache directory to a revision that can be read.

One composition root for all who read: the commands that need no mount, and the mount itself.
"""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Self
from urllib.parse import urlsplit

from swrepo.cache.plan import DirectoryPlan, build
from swrepo.cache.tiered import Tier
from swrepo.catalog.schema import KEY_VOLATILE
from swrepo.client.anchors import trust_anchors
from swrepo.client.announced import WithManifest
from swrepo.client.offline import Recording, kept_manifest
from swrepo.client.pinned import dated_revision, tagged_revision
from swrepo.client.request import AccessRequest, directory_of
from swrepo.errors import ConfigError, Rollback, Unreachable, UsageError, WrongRepository
from swrepo.format import envelope, manifest
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.wellknown import MANIFEST
from swrepo.net.connect import Chain, Connection, ExternalConnection, Surroundings
from swrepo.net.external import WithExternal
from swrepo.net.remote import RemoteRepository
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import Documents, Want
from swrepo.repository.alternative import AlternativePaths
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.repository.revision import Revision
from swrepo.trust.chain import TrustedManifest

log = logging.getLogger(__name__)


class Access:
    """An open repository. `revision` is what it showed when it was opened, or at the last `refresh`."""

    def __init__(self, request: AccessRequest, shown: ObjectId | None = None) -> None:
        """Fetch, check and open. Raises TrustError, CorruptObject, ObjectNotFound, Unreachable, ConfigError.

        `shown`: the root catalog of a revision that was trusted before and is to be shown again, whatever servers say.
        """
        self.request: AccessRequest = request
        self.variables: Mapping[str, str] = {**request.variables, "CVMFS_ARCH": platform.machine()}
        self.anchors = trust_anchors(request.keys, request.blacklists)
        self._lock = threading.Lock()  # one refresh at a time
        self._chooses_again = False
        self.connection: Connection | None = None
        self.external: ExternalConnection | None = None
        self.documents = self._source()
        self.cache_source = WithExternal(AlternativePaths(self.documents, self.documents), self._external_files())
        self._recording = Recording(self.documents)
        plan = request.caches or DirectoryPlan(request.cache, quota=request.quota)
        self.cache: Tier = build(plan, self.cache_source, request.cache)
        try:
            self.manifest: Manifest | None = None
            self._announced: Manifest | None = None
            self._seen: Breadcrumb | None = None
            self.valid_until: datetime | None = None  # the whitelist's
            self.fqrn: str = request.fqrn or self._claimed_name()
            self.revision = self._first_revision() if shown is None else Revision(shown, self.cache)
            self.cache.is_volatile = _is_volatile(self.revision)
        except BaseException:
            self.close()
            raise

    @property
    def is_fixed(self) -> bool:
        """Whether no newer revision is ever shown."""
        return self._is_chosen or not self.request.follow

    @property
    def _is_chosen(self) -> bool:
        request = self.request
        return bool(request.tag or request.root_hash or request.date)

    @property
    def ttl(self) -> int:
        """Seconds after which the server should be asked for a newer revision."""
        return self.manifest.ttl if self.manifest is not None else manifest.DEFAULT_TTL

    def newer(self) -> Revision | None:
        """The server's revision where it is another than `revision`, not yet in its place; see `replace`.

        Raises what fetching and trusting raise; then nothing has changed.
        """
        if self.is_fixed and not self._chooses_again:
            return None
        with self._lock:
            found = self._trusted()
            if self._is_behind(found):
                return None
            self.manifest = found
            if found.root_catalog == self.revision.root and not self._is_chosen:
                self._chooses_again = False
                return None
            revision = self._chosen(found)
            self._chooses_again = False
            if revision.root == self.revision.root:
                revision.close()
                return None
            self.cache.is_volatile = _is_volatile(revision)
            return revision

    def announced(self, raw: bytes) -> Revision | None:
        """The same, of the signed manifest that somebody sent, if it is of a later revision than the one shown.

        It is not remembered: at the next start, a server that is behind must not look like one that lies.
        """
        with self._lock:
            claim = manifest.parse(envelope.split(raw).body)
            if self.is_fixed or claim.revision <= self.revision.number:
                return None
            seen = self.cache.read_breadcrumb(self.fqrn)
            found = self._checked(WithManifest(raw, self._recording), seen).manifest
            revision = Revision(found.root_catalog, self.cache, found.root_size)
            self.manifest = self._announced = found
            self.cache.is_volatile = _is_volatile(revision)
            return revision

    def _is_behind(self, found: Manifest) -> bool:
        """Whether servers, or proxies before them, do not know yet of the revision that was announced and is shown."""
        announced = self._announced
        return (
            announced is not None
            and announced.root_catalog == self.revision.root
            and found.revision < announced.revision
        )

    def choose_again(self) -> None:
        """Have the next `newer` look for the revision that the request names, though it is fixed.

        For a request that may be another one than that by which the revision was found that is shown.
        """
        self._chooses_again = True

    def replace(self, revision: Revision) -> Revision:
        """Show `revision` from now on; the one before, which the caller closes when nobody uses it any more."""
        with self._lock:
            before, self.revision = self.revision, revision
            return before

    def fix(self, root: ObjectId) -> None:
        """Look for no newer revision any more: the one of this root catalog is shown."""
        self.request = replace(self.request, root_hash=root.text)

    def remember(self) -> None:
        """Leave what a mount without a server needs to trust the newest revision: breadcrumb, manifest, whitelist."""
        signed = self._recording.signed
        if signed is not None:
            self.cache.write_signed(self.fqrn, signed)
        if self._seen is not None:
            self.cache.write_breadcrumb(self.fqrn, self._seen)

    def close(self) -> None:
        """Let go of everything."""
        revision = getattr(self, "revision", None)
        if revision is not None:
            revision.close()
        self.cache.close()
        if self.connection is not None:
            self.connection.close()
        if self.external is not None:
            self.external.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _source(self) -> DirectoryObjects | RemoteRepository:
        request = self.request
        if not request.urls:
            raise ConfigError("no server is known for the repository: give its URL")
        directories = [url for url in request.urls if urlsplit(url).scheme == "file"]
        if directories:
            if len(request.urls) > 1:
                raise UsageError("a file:// URL cannot be one of several servers")
            return DirectoryObjects(directory_of(directories[0]))
        chain = Chain(request.urls, request.proxies, request.timeouts, request.max_retries)
        self.connection = Connection(chain, request.network, self._surroundings("swrepo.proxies"))
        if request.early:
            self.connection.repository.make_ready(request.early)
        return self.connection.repository

    def _external_files(self) -> RemoteRepository | None:
        """The servers of content that is not in the repository; None where there is none."""
        network = self.request.network
        if not network.external.servers:
            return None
        self.external = ExternalConnection(network, self._surroundings("swrepo.external-proxies"))
        return self.external.files

    def _surroundings(self, name: str) -> Surroundings:
        return Surroundings(self.request.variables, self.request.cache / f"{name}.{self.request.fqrn or ''}")

    def _claimed_name(self) -> str:
        """The name that the manifest claims; the chain of trust then holds it to it."""
        raw = self.documents.read(MANIFEST)
        fqrn = manifest.parse(envelope.split(raw).body).fqrn
        if not fqrn:
            raise WrongRepository("the manifest does not say which repository it is of; name it")
        return fqrn

    def _trusted(self) -> Manifest:
        seen = self.cache.read_breadcrumb(self.fqrn)
        trusted = self._checked(self._recording, seen)
        self._seen = trusted.breadcrumb
        self.valid_until = trusted.valid_until
        if seen != trusted.breadcrumb and self.request.remember:
            self.cache.write_breadcrumb(self.fqrn, trusted.breadcrumb)
        return trusted.manifest

    def _checked(self, documents: Documents, seen: Breadcrumb | None) -> TrustedManifest:
        """The manifest among `documents`, by the whole chain of trust."""
        return trusted_manifest(
            self.fqrn,
            documents,
            self.cache_source,
            self.anchors,
            self.request.clock(),
            seen,
            nearby=self.cache,
            ahead=self._bring_root,
        )

    def _bring_root(self, claim: Manifest) -> None:
        """Fetch the root catalog of a manifest that is not trusted yet: its name holds it to its bytes."""
        if not self.is_fixed and claim.root_size is not None:
            os.close(self.cache.open(Want(claim.root_catalog, size=claim.root_size)))

    def _first_revision(self) -> Revision:
        try:
            self.manifest = self._trusted()
        except Unreachable as error:
            return self._offline(error)
        return self._chosen(self.manifest)

    def _chosen(self, found: Manifest) -> Revision:
        request = self.request
        if request.root_hash:
            return Revision(ObjectId.parse(request.root_hash, Kind.CATALOG), self.cache)
        if request.tag:
            return tagged_revision(found, request.tag, self.cache)
        if request.date:
            return dated_revision(found, request.date, self.cache)
        return Revision(found.root_catalog, self.cache, found.root_size)

    def _offline(self, error: Unreachable) -> Revision:
        """No server answers: show what is kept here, vouched for by signatures or by having been trusted before."""
        seen = self.cache.read_breadcrumb(self.fqrn)
        try:
            kept = kept_manifest(self.fqrn, self.cache, self.anchors, self.request.clock(), seen)
        except Rollback:  # something newer was seen since; perhaps it is here too
            kept = None
        if kept is not None:
            log.warning("no server of %s answers; showing what was preloaded, %s", self.fqrn, kept.breadcrumb.text)
            self.manifest = kept.manifest
            return self._chosen(kept.manifest)
        if seen is None or self._is_chosen:
            raise error
        descriptor = self.cache.open_in_any(Want(seen.root_catalog))
        if descriptor is None:
            raise error
        os.close(descriptor)
        log.warning("no server of %s answers; showing revision %d from the cache", self.fqrn, seen.revision)
        return Revision(seen.root_catalog, self.cache)


def _is_volatile(revision: Revision) -> bool:
    """Whether the repository asks caches to drop its files first. Source: format.md 6, `volatile`."""
    return revision.tree.root.properties.get(KEY_VOLATILE, "0") not in ("", "0")


def open_access(request: AccessRequest) -> Access:
    """Open a repository for reading; close it, or use it in a `with`. Raises as `Access` does."""
    return Access(request)
