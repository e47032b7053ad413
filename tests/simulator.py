"""A repository in memory: publishes, signs on demand, counts requests, and lies on request.

Everything that a test would otherwise need a server and a disk for. It is an `ObjectSource` and `Documents`; `served`
gives the bytes behind a URL path, for fakes of HTTP, and `save` writes a directory that a real server can serve.
"""

from __future__ import annotations

import dataclasses
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from swrepo.errors import ObjectNotFound, ObjectTooLarge
from swrepo.format.compression import Compression
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.format.whitelist import Fingerprint, Whitelist
from swrepo.objects import codec
from swrepo.objects.store import DOCUMENT_LIMIT, Want
from swrepo.trust.chain import TrustAnchors
from swrepo.trust.keys import Certificate
from swrepo.trust.signer import SigningKey, sign_manifest, sign_whitelist
from tests.simulated_trees import Tree, TreeBuilder, properties

NOW = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
"""The time in simulated repositories."""

FQRN = "software.example.org"

Lie = Callable[[bytes], bytes]
"""What is sent instead of the truth; it may raise."""


@cache
def key(number: int) -> SigningKey:
    """A key pair, the same for the same number. Making one takes a while, so tests share them."""
    del number
    return SigningKey.generate()


MASTER, REPOSITORY, STRANGER = 0, 1, 2
"""Numbers of the keys: the owner's, the publisher's, and one that nobody has reason to trust."""


class RepositorySimulator:
    """One repository. `documents` and `stored` (URL path -> bytes) are open to tests; so is `lies`.

    `requests` lists the URL paths that were asked for, in order. Safe from any thread.
    """

    def __init__(self, fqrn: str = FQRN, algorithm: Algorithm = Algorithm.SHA1, now: datetime = NOW) -> None:
        self.fqrn = fqrn
        self.algorithm = algorithm
        self.now = now
        self.documents: dict[str, bytes] = {}
        self.stored: dict[str, bytes] = {}
        self.lies: dict[str, Lie] = {}
        self.on_request: Callable[[str], object] = lambda path: None
        self.block_size = 4096
        self.requests: list[str] = []
        self._lock = threading.Lock()  # guards requests
        self.certificate = self.put(certificate_pem(REPOSITORY, fqrn), Kind.CERTIFICATE)
        self.whitelist = Whitelist(now, now + timedelta(days=30), fqrn, (self.fingerprint(REPOSITORY),))
        self.manifest = Manifest(
            root_catalog=self.put(b"a catalog without a tree", Kind.CATALOG),
            root_size=24,
            revision=1,
            fqrn=fqrn,
            certificate=self.certificate,
            timestamp=int(now.timestamp()),
        )
        self.sign_whitelist()
        self.sign_manifest()

    # What the owner and the publisher do

    @property
    def anchors(self) -> TrustAnchors:
        """What an honest client is configured with."""
        return TrustAnchors((key(MASTER).public_key,))

    def fingerprint(self, number: int) -> Fingerprint:
        """That of the certificate of key `number`, in the repository's algorithm."""
        return Certificate.parse(certificate_pem(number, self.fqrn)).fingerprint(self.algorithm)

    def put(self, plain: bytes, kind: Kind = Kind.FILE, compression: Compression = Compression.ZLIB) -> ObjectId:
        """Store an object and give its name."""
        stored = codec.encode(plain, compression)
        object_id = ObjectId.of(stored, self.algorithm, kind)
        self.stored[object_id.path] = stored
        return object_id

    def publish(self, tree: Tree, nested: Collection[bytes] = (), **changes: Any) -> None:
        """A new revision that holds `tree`, with a catalog of their own for the directories `nested`."""
        revision, timestamp = self.manifest.revision + 1, (self.manifest.timestamp or 0) + 60
        facts = properties(revision, timestamp, self.manifest.root_catalog)
        with tempfile.TemporaryDirectory() as folder:
            catalog = TreeBuilder(tree, nested, self.put, self.algorithm, facts).build(Path(folder))
        made = {"root_catalog": catalog.id, "root_size": catalog.size, "revision": revision, "timestamp": timestamp}
        self.sign_manifest(**made | changes)

    def sign_whitelist(self, by: int = MASTER, **changes: Any) -> None:
        """Publish the whitelist anew, with some fields changed."""
        self.whitelist = dataclasses.replace(self.whitelist, **changes)
        self.documents[WHITELIST] = sign_whitelist(key(by), self.whitelist.encode(), self.algorithm)

    def sign_manifest(self, by: int = REPOSITORY, **changes: Any) -> None:
        """Publish the manifest anew, with some fields changed."""
        self.manifest = dataclasses.replace(self.manifest, **changes)
        self.documents[MANIFEST] = sign_manifest(key(by), self.manifest.encode(), self.algorithm)

    # What clients see

    def served(self, path: str) -> bytes:
        """The bytes behind a URL path, lies included; counted. ObjectNotFound where there is nothing."""
        with self._lock:
            self.requests.append(path)
        self.on_request(path)
        data = self.documents.get(path, self.stored.get(path))
        if data is None:
            raise ObjectNotFound(f"the simulator has no {path}")
        return self.lies.get(path, _truth)(data)

    def fetch(self, want: Want, out: BinaryIO) -> None:
        """See ObjectSource."""
        codec.decode(self._blocks(self.served(want.id.path)), want, out)

    def read(self, name: str, limit: int = DOCUMENT_LIMIT) -> bytes:
        """See Documents."""
        data = self.served(name)
        if len(data) > limit:
            raise ObjectTooLarge(f"{name} is larger than {limit} bytes")
        return data

    def save(self, directory: Path) -> Path:
        """Write the served directory: `directory`/FQRN."""
        root = directory / self.fqrn
        for path, data in (self.documents | self.stored).items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        (root / "data" / "txn").mkdir(parents=True, exist_ok=True)
        return root

    def _blocks(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), self.block_size):
            yield data[start : start + self.block_size]


@cache
def certificate_pem(number: int, fqrn: str) -> bytes:
    """The certificate of key `number` for a repository."""
    return key(number).make_certificate(fqrn, NOW)


def flipped(data: bytes, bit: int) -> bytes:
    """`data` with one bit inverted."""
    changed = bytearray(data)
    changed[bit >> 3] ^= 1 << (bit & 7)
    return bytes(changed)


def _truth(data: bytes) -> bytes:
    return data
