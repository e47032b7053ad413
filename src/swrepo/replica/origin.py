"""The repository that is copied, at its server: what it publishes now, and its objects as they are stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import unquote, urlsplit

from swrepo.config.network import NetworkParameters
from swrepo.errors import ObjectNotFound, PermissionRefused
from swrepo.format import envelope, manifest
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.compression import Compression
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import ObjectId
from swrepo.format.wellknown import MANIFEST, MASTER_REPLICA, WHITELIST
from swrepo.net.connect import Chain, Connection
from swrepo.net.http import Timeouts
from swrepo.net.remote import RemoteRepository
from swrepo.net.routes import DIRECT, parse_proxies
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import CATALOG_LIMIT, DOCUMENT_LIMIT, Documents, ObjectSource, Want, fetch_many
from swrepo.publish.replica_settings import ReplicaSettings
from swrepo.repository.alternative import AlternativePaths
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.trust.chain import TrustAnchors, TrustedManifest
from swrepo.upkeep.opening import Clock


@dataclass(frozen=True, slots=True)
class Published:
    """What a repository publishes, vouched for: the manifest, and the documents as they came."""

    trusted: TrustedManifest
    whitelist: bytes

    @property
    def manifest(self) -> Manifest:
        return self.trusted.manifest


class Origin:
    """A repository at its server; close it. Safe from any thread, but for `published`."""

    def __init__(self, wanted: ReplicaSettings) -> None:
        """Connects on the first question. ConfigError where no proxy can be had."""
        self._wanted = wanted
        self._connection: Connection | None = None
        self.documents = self._opened()
        self._source: ObjectSource = AlternativePaths(self.documents, self.documents)

    def claimed_name(self) -> str:
        """The name that its manifest claims. RepositoryNotFound or ObjectNotFound, Unreachable, FormatError."""
        return manifest.parse(envelope.split(self.documents.read(MANIFEST)).body).fqrn or ""

    def check_replicable(self) -> None:
        """PermissionRefused where its owner does not want it copied."""
        try:
            self.documents.read(MASTER_REPLICA)
        except ObjectNotFound as error:
            raise PermissionRefused(
                f"{self._wanted.stratum0} may not be replicated: it has no {MASTER_REPLICA}; on its stratum 0, "
                f"'cvmfs_server alterfs -m on {self._wanted.fqrn}' allows it (a replica cannot be copied in its turn)"
            ) from error

    def published(self, anchors: TrustAnchors, now: Clock, last_seen: Breadcrumb | None) -> Published:
        """What it publishes now. Raises what `trusted_manifest` raises, Rollback where it is older than `last_seen`."""
        documents = _Kept(self.documents)
        trusted = trusted_manifest(self._wanted.fqrn, documents, self._source, anchors, now(), last_seen)
        return Published(trusted, documents.kept[WHITELIST])

    def fetch(self, name: ObjectId, plain_size: int | None, out: BinaryIO) -> None:
        """Write the stored bytes of an object to the empty file `out`; they matched its name when this returns."""
        self._source.fetch(as_stored(name, plain_size), out)

    def fetch_many(
        self, names: Sequence[tuple[ObjectId, int]], deliver: Callable[[ObjectId, bytes], object]
    ) -> list[ObjectId]:
        """The same for small ones together, in the thread that calls; those that could not be had at the first try."""
        wants = [as_stored(name, size) for name, size in names]
        return [want.id for want in fetch_many(self._source, wants, lambda want, data: deliver(want.id, data))]

    def close(self) -> None:
        """End all transfers."""
        if self._connection is not None:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> DirectoryObjects | RemoteRepository:
        wanted = self._wanted
        parts = urlsplit(wanted.stratum0)
        if parts.scheme == "file":
            return DirectoryObjects(Path(unquote(parts.path)))
        proxies = parse_proxies(wanted.proxy) if wanted.proxy else DIRECT
        timeouts = Timeouts(float(wanted.timeout), float(wanted.timeout))
        chain = Chain((wanted.stratum0,), proxies, timeouts, wanted.retries)
        self._connection = Connection(chain, NetworkParameters(connections=wanted.workers))
        return self._connection.repository


class _Kept:
    """Documents that keeps what was read: what was verified is what is copied, not what is read once more."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.kept: dict[str, bytes] = {}

    def read(self, name: str, limit: int = DOCUMENT_LIMIT) -> bytes:
        """See Documents."""
        found = self.kept[name] = self._documents.read(name, limit)
        return found


def as_stored(name: ObjectId, plain_size: int | None) -> Want:
    """Ask for the bytes that an object's name is the hash of, of which no more can be than what such a size takes."""
    room = CATALOG_LIMIT if plain_size is None else plain_size + plain_size // 64 + (1 << 20)
    return Want(name, Compression.NONE, limit=room)
