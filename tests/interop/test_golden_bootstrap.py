"""From a name and a place to a manifest that may be believed, with documents of the original, whole and tampered with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import BinaryIO

import pytest

from swrepo.errors import (
    CorruptCertificate,
    CorruptObject,
    ObjectNotFound,
    Rollback,
    TrustError,
    UntrustedSignature,
    WhitelistExpired,
    WrongRepository,
)
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.format.wellknown import ALTERNATIVE_PREFIX, MANIFEST, WHITELIST
from swrepo.objects import codec
from swrepo.objects.store import DOCUMENT_LIMIT, Want
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.trust.chain import TrustAnchors, TrustedManifest
from swrepo.trust.keys import PublicKey
from tests.golden import CLOCK, NAMES, golden


class Server:
    """The documents and the certificate of a golden repository, to be tampered with; notes what is asked for."""

    def __init__(self, name: str) -> None:
        self.fqrn = golden(name).fqrn
        served = golden(name).served
        self.documents = {each: (served / each).read_bytes() for each in (MANIFEST, WHITELIST)}
        self.objects = {path.name: path.read_bytes() for path in served.glob("data/*/*X")}
        self.asked: list[str] = []
        self.keys = PublicKey.parse_all(golden(name).public_key.read_bytes())

    def read(self, name: str, limit: int = DOCUMENT_LIMIT) -> bytes:
        self.asked.append(name)
        if name not in self.documents:
            raise ObjectNotFound(f"no {name}")
        return self.documents[name][:limit]

    def fetch(self, want: Want, out: BinaryIO) -> None:
        self.asked.append(want.id.kind)
        name = want.id.name[2:]
        if name not in self.objects:
            raise ObjectNotFound(f"no object {want.id}")
        codec.decode([self.objects[name]], want, out)

    def trusted(self, clock: datetime = CLOCK, seen: Breadcrumb | None = None, fqrn: str = "") -> TrustedManifest:
        return trusted_manifest(fqrn or self.fqrn, self, self, TrustAnchors(self.keys), clock, seen)


@pytest.fixture
def server() -> Server:
    return Server("shake128")


@pytest.mark.parametrize("name", NAMES)
def test_a_repository_of_the_original_is_believed(name: str) -> None:
    server = Server(name)
    found = server.trusted()
    assert found.fqrn == found.manifest.fqrn == server.fqrn
    assert {*server.asked[:2]} == {MANIFEST, WHITELIST}  # in any order
    assert server.asked[2:] == [Kind.CERTIFICATE]


@pytest.mark.parametrize("document", [MANIFEST, WHITELIST])
def test_one_flipped_bit_anywhere_in_a_document_is_refused(document: str, server: Server) -> None:
    whole = server.documents[document]
    for position in range(len(whole)):
        tampered = bytearray(whole)
        tampered[position] ^= 1 << position % 8
        server.documents[document] = bytes(tampered)
        with pytest.raises((TrustError, ObjectNotFound)):
            server.trusted()
    server.documents[document] = whole
    server.trusted()


def test_one_flipped_bit_anywhere_in_the_certificate_is_refused(server: Server) -> None:
    ((name, whole),) = server.objects.items()
    for position in range(0, len(whole), 7):
        tampered = bytearray(whole)
        tampered[position] ^= 1 << position % 8
        server.objects[name] = bytes(tampered)
        with pytest.raises(CorruptObject):
            server.trusted()


@pytest.mark.parametrize("document", [MANIFEST, WHITELIST])
@pytest.mark.parametrize("keep", [0, 1, 100, 300, -1])
def test_a_truncated_document_is_refused(document: str, keep: int, server: Server) -> None:
    server.documents[document] = server.documents[document][:keep]
    with pytest.raises(TrustError):
        server.trusted()


def test_documents_of_another_repository_are_refused(server: Server) -> None:
    other = Server("rmd160")
    with pytest.raises(WrongRepository):
        server.trusted(fqrn=other.fqrn)
    server.documents[WHITELIST] = other.documents[WHITELIST]
    with pytest.raises(UntrustedSignature):
        server.trusted()
    server.keys += other.keys
    with pytest.raises(WrongRepository):
        server.trusted()


def test_another_certificate_is_refused(server: Server) -> None:
    (name,) = server.objects
    (other,) = Server("rmd160").objects.values()
    server.objects[name] = other
    with pytest.raises(CorruptCertificate):
        server.trusted()


def test_the_clock_decides_when_the_whitelist_expires(server: Server) -> None:
    expiry = server.trusted().valid_until
    server.trusted(expiry - timedelta(hours=2))
    with pytest.raises(WhitelistExpired):
        server.trusted(expiry + timedelta(hours=2))


def test_nothing_older_than_what_was_seen_is_believed(server: Server) -> None:
    now = server.trusted().breadcrumb
    server.trusted(seen=now)
    with pytest.raises(Rollback):
        server.trusted(seen=Breadcrumb(now.root_catalog, now.timestamp, now.revision + 1))
    with pytest.raises(Rollback):
        server.trusted(seen=Breadcrumb(now.root_catalog, now.timestamp + 1, now.revision))


@pytest.mark.parametrize("document", [MANIFEST, WHITELIST])
def test_a_missing_document_is_missing_and_not_broken(document: str, server: Server) -> None:
    del server.documents[document]
    with pytest.raises(ObjectNotFound):
        server.trusted()


def test_a_certificate_is_found_at_its_alternative_path(server: Server) -> None:
    ((name, stored),) = server.objects.items()
    server.objects.clear()
    with pytest.raises(ObjectNotFound):
        server.trusted()
    whole_name = ObjectId.of(stored, Algorithm.SHAKE128, Kind.CERTIFICATE).name
    assert whole_name.endswith(name)
    server.documents[ALTERNATIVE_PREFIX + whole_name] = stored
    server.trusted()
