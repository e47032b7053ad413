"""Keys, manifests, whitelists and objects that CernVM-FS made, believed for the right reasons and for no others."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import pytest

from swrepo.errors import TrustError, UntrustedSignature, WhitelistExpired
from swrepo.format import envelope
from swrepo.format.object_id import Algorithm
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import DOCUMENT_LIMIT, Want
from swrepo.trust.chain import Chain, TrustAnchors, TrustedManifest
from swrepo.trust.keys import Certificate, PublicKey
from swrepo.trust.signer import SigningKey, sign_manifest, sign_whitelist
from tests.golden import CLOCK, NAMES, Golden, golden


@pytest.fixture(params=NAMES)
def repository(request: pytest.FixtureRequest) -> Golden:
    return golden(request.param)


def trust(repository: Golden, key_of: Golden | None = None, now: datetime = CLOCK) -> TrustedManifest:
    served = DirectoryObjects(repository.served)
    keys = PublicKey.parse_all((key_of or repository).public_key.read_bytes())
    chain = Chain(repository.fqrn, TrustAnchors(keys), now)
    wanted = chain.manifest(served.read(MANIFEST))
    chain.whitelist(served.read(WHITELIST))
    pem = BytesIO()
    served.fetch(Want(wanted, limit=DOCUMENT_LIMIT), pem)
    chain.certificate(pem.getvalue())
    return chain.seal()


def private(repository: Golden, suffix: str) -> SigningKey:
    return SigningKey.load((repository.path / "keys" / f"{repository.fqrn}.{suffix}").read_bytes())


def test_the_original_s_manifest_is_trusted(repository: Golden) -> None:
    trusted = trust(repository)
    expected = {"shake128": Algorithm.SHAKE128, "rmd160": Algorithm.RIPEMD160}.get(repository.name, Algorithm.SHA1)
    assert trusted.manifest.root_catalog.algorithm is expected
    assert trusted.raw == (repository.served / MANIFEST).read_bytes()


def test_not_with_another_repository_s_key(repository: Golden) -> None:
    other = golden("hardlinks" if repository.name == "basic" else "basic")
    with pytest.raises(UntrustedSignature):
        trust(repository, key_of=other)


def test_not_after_its_whitelist_has_expired(repository: Golden) -> None:
    with pytest.raises(WhitelistExpired):
        trust(repository, now=datetime(2050, 1, 1, tzinfo=UTC))


def test_our_signatures_are_the_original_s_byte_for_byte(repository: Golden) -> None:
    """PKCS#1 v1.5 has no randomness: the same key over the same text gives the same file."""
    algorithm = trust(repository).manifest.root_catalog.algorithm
    manifest = (repository.served / MANIFEST).read_bytes()
    assert sign_manifest(private(repository, "key"), envelope.split(manifest).body, algorithm) == manifest
    whitelist = (repository.served / WHITELIST).read_bytes()
    assert sign_whitelist(private(repository, "masterkey"), envelope.split(whitelist).body, algorithm) == whitelist


def test_the_key_files_belong_together(repository: Golden) -> None:
    folder = repository.path / "keys"
    certificate = Certificate.parse((folder / f"{repository.fqrn}.crt").read_bytes())
    assert private(repository, "key").public_key == certificate.public_key
    assert (private(repository, "masterkey").public_key,) == PublicKey.parse_all(repository.public_key.read_bytes())
    assert private(repository, "masterkey").public_key.pem == repository.public_key.read_bytes()


def test_every_object_has_the_bytes_of_its_name(repository: Golden) -> None:
    """Both as `none` and, where it is one, as zlib stream; the original's compressor is in order for us."""
    served = DirectoryObjects(repository.served)
    count = 0
    for object_id in served.list():
        stored = (repository.served / object_id.path).read_bytes()
        assert object_id.algorithm.digest(stored) == object_id.digest
        if stored[:2] == b"\x78\x9c" and object_id.kind:
            served.fetch(Want(object_id), BytesIO())
        count += 1
    assert count > 5


def test_no_byte_of_manifest_or_whitelist_can_be_exchanged() -> None:
    """Every position, one bit each; tests/properties tries bits at random in all that a client fetches."""
    repository = golden("basic")
    served = DirectoryObjects(repository.served)
    keys = PublicKey.parse_all(repository.public_key.read_bytes())
    certificate = (repository.path / "keys" / f"{repository.fqrn}.crt").read_bytes()
    honest = {name: served.read(name) for name in (MANIFEST, WHITELIST)}
    for name, raw in honest.items():
        for position in range(len(raw)):
            spoiled = honest | {name: raw[:position] + bytes([raw[position] ^ 1 << position % 8]) + raw[position + 1 :]}
            chain = Chain(repository.fqrn, TrustAnchors(keys), CLOCK)
            with pytest.raises(TrustError):
                _walk(chain, spoiled[MANIFEST], spoiled[WHITELIST], certificate)


def _walk(chain: Chain, manifest: bytes, whitelist: bytes, certificate: bytes) -> None:
    chain.manifest(manifest)
    chain.whitelist(whitelist)
    chain.certificate(certificate)
    chain.seal()
