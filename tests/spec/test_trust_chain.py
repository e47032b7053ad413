"""The attacks on a repository, and how each is refused. A name here is an entry of that list."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO

import pytest

from swrepo import errors
from swrepo.errors import SwrepoError
from swrepo.format.blacklist import Blacklist
from swrepo.format.blacklist import parse as parse_blacklist
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.object_id import Algorithm, Kind
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.objects.store import DOCUMENT_LIMIT, Want
from swrepo.trust.chain import Chain, TrustAnchors, TrustedManifest
from swrepo.trust.keys import Certificate
from swrepo.trust.signer import sign_manifest, sign_whitelist
from tests.simulator import (
    MASTER,
    NOW,
    REPOSITORY,
    STRANGER,
    RepositorySimulator,
    certificate_pem,
    flipped,
    key,
)


@pytest.fixture(params=Algorithm, ids=lambda algorithm: algorithm.name)
def repository(request: pytest.FixtureRequest) -> RepositorySimulator:
    return RepositorySimulator(algorithm=request.param)


def trust(
    repository: RepositorySimulator,
    *,
    fqrn: str | None = None,
    anchors: TrustAnchors | None = None,
    last_seen: Breadcrumb | None = None,
    pem: bytes | None = None,
) -> TrustedManifest:
    """What a client does with the documents that the repository gives it."""
    chain = Chain(fqrn or repository.fqrn, anchors or repository.anchors, repository.now)
    wanted = chain.manifest(repository.read(MANIFEST))
    chain.whitelist(repository.read(WHITELIST))
    chain.certificate(fetched(repository, Want(wanted, limit=DOCUMENT_LIMIT)) if pem is None else pem)
    return chain.seal(last_seen)


def fetched(repository: RepositorySimulator, want: Want) -> bytes:
    out = BytesIO()
    repository.fetch(want, out)
    return out.getvalue()


def banning(repository: RepositorySimulator, blacklist: Blacklist) -> TrustAnchors:
    return TrustAnchors(repository.anchors.keys, blacklist)


# What is accepted


def test_an_honest_repository_is_trusted(repository: RepositorySimulator) -> None:
    trusted = trust(repository)
    assert trusted.manifest == repository.manifest
    assert trusted.raw == repository.documents[MANIFEST]
    assert trusted.fqrn == repository.fqrn
    assert trusted.valid_until == repository.whitelist.expires.replace(microsecond=0)


def test_any_one_of_several_master_keys_may_have_signed(repository: RepositorySimulator) -> None:
    anchors = TrustAnchors((key(STRANGER).public_key, key(MASTER).public_key))
    assert trust(repository, anchors=anchors).manifest == repository.manifest


def test_the_fingerprint_may_be_listed_in_any_hash_and_among_others(repository: RepositorySimulator) -> None:
    certificate = Certificate.parse(certificate_pem(REPOSITORY, repository.fqrn))
    for algorithm in Algorithm:
        listed = (repository.fingerprint(STRANGER), certificate.fingerprint(algorithm))
        repository.sign_whitelist(fingerprints=listed)
        assert trust(repository).manifest == repository.manifest


def test_the_same_and_a_newer_manifest_are_no_rollback(repository: RepositorySimulator) -> None:
    seen = trust(repository).breadcrumb
    assert trust(repository, last_seen=seen).breadcrumb == seen
    repository.sign_manifest(revision=seen.revision + 1, timestamp=seen.timestamp + 1)
    assert trust(repository, last_seen=seen).manifest.revision == seen.revision + 1


def test_a_revision_at_the_blacklist_s_bound_is_accepted(repository: RepositorySimulator) -> None:
    blacklist = parse_blacklist(f"<{repository.fqrn} {repository.manifest.revision}\n<other.example.org 99\n")
    assert trust(repository, anchors=banning(repository, blacklist)).manifest == repository.manifest


# Attacks on the manifest


def test_a_manifest_whose_text_was_changed(repository: RepositorySimulator) -> None:
    repository.lies[MANIFEST] = lambda raw: raw.replace(b"\nS1\n", b"\nS2\n")
    with pytest.raises(errors.ManifestTampered, match="was altered"):
        trust(repository)


def test_a_manifest_whose_text_and_hash_were_changed(repository: RepositorySimulator) -> None:
    honest = repository.documents[MANIFEST]
    repository.sign_manifest(by=STRANGER, revision=2)
    forged = repository.documents[MANIFEST]
    repository.lies[MANIFEST] = lambda _: forged[:-256] + honest[-256:]
    with pytest.raises(errors.UntrustedSignature, match="not signed with the key of its certificate"):
        trust(repository)


def test_a_manifest_signed_by_another_key(repository: RepositorySimulator) -> None:
    repository.sign_manifest(by=STRANGER)
    with pytest.raises(errors.UntrustedSignature, match="not signed with the key of its certificate"):
        trust(repository)


def test_a_manifest_signed_by_another_key_that_names_that_key_s_certificate(repository: RepositorySimulator) -> None:
    certificate = repository.put(certificate_pem(STRANGER, repository.fqrn), Kind.CERTIFICATE)
    repository.sign_manifest(by=STRANGER, certificate=certificate)
    with pytest.raises(errors.CertificateNotListed, match="not on its whitelist"):
        trust(repository)


def test_a_manifest_that_names_no_certificate(repository: RepositorySimulator) -> None:
    repository.sign_manifest(certificate=None)
    with pytest.raises(errors.UntrustedSignature, match="names no certificate"):
        trust(repository)


def test_a_manifest_without_a_signature(repository: RepositorySimulator) -> None:
    repository.lies[MANIFEST] = lambda raw: raw[:-256]
    with pytest.raises(errors.UntrustedSignature):
        trust(repository)


def test_a_manifest_with_bytes_behind_its_signature(repository: RepositorySimulator) -> None:
    repository.lies[MANIFEST] = lambda raw: raw + b"\0"
    with pytest.raises(errors.UntrustedSignature):
        trust(repository)


def test_a_manifest_that_is_cut_short(repository: RepositorySimulator) -> None:
    repository.lies[MANIFEST] = lambda raw: raw[:100]
    with pytest.raises(errors.ManifestTampered, match="truncated"):
        trust(repository)


def test_a_web_page_in_place_of_a_manifest(repository: RepositorySimulator) -> None:
    repository.lies[MANIFEST] = lambda _: b"<html>Please log in to the guest network</html>"
    with pytest.raises(errors.ManifestTampered, match="not in order"):
        trust(repository)


def test_a_well_signed_manifest_that_cannot_be_read(repository: RepositorySimulator) -> None:
    repository.documents[MANIFEST] = sign_manifest(key(REPOSITORY), b"Cnothing\n", repository.algorithm)
    with pytest.raises(errors.ManifestTampered, match="cannot be read"):
        trust(repository)


def test_another_repository_s_manifest(repository: RepositorySimulator) -> None:
    other = RepositorySimulator("other.example.org", repository.algorithm)
    repository.documents[MANIFEST] = other.documents[MANIFEST]
    with pytest.raises(errors.WrongRepository, match=r"the manifest is that of 'other\.example\.org'"):
        trust(repository)


def test_a_manifest_that_names_no_repository(repository: RepositorySimulator) -> None:
    repository.sign_manifest(fqrn=None)
    with pytest.raises(errors.WrongRepository):
        trust(repository)


def test_a_manifest_of_an_earlier_revision(repository: RepositorySimulator) -> None:
    repository.sign_manifest(revision=7)
    seen = trust(repository).breadcrumb
    repository.sign_manifest(revision=6)
    with pytest.raises(errors.Rollback, match=r"revision 6.*older.*revision 7"):
        trust(repository, last_seen=seen)


def test_a_manifest_published_at_an_earlier_time(repository: RepositorySimulator) -> None:
    seen = trust(repository).breadcrumb
    repository.sign_manifest(timestamp=seen.timestamp - 1)
    with pytest.raises(errors.Rollback):
        trust(repository, last_seen=seen)


def test_a_manifest_that_hides_its_time(repository: RepositorySimulator) -> None:
    seen = trust(repository).breadcrumb
    repository.sign_manifest(timestamp=None)
    with pytest.raises(errors.Rollback):
        trust(repository, last_seen=seen)


def test_a_blacklisted_revision(repository: RepositorySimulator) -> None:
    blacklist = parse_blacklist(f"<{repository.fqrn} {repository.manifest.revision + 1}\n")
    with pytest.raises(errors.RevisionBlacklisted, match=r"revision 1 of .* is blacklisted; 2 is the first"):
        trust(repository, anchors=banning(repository, blacklist))


# Attacks on the whitelist


def test_a_whitelist_whose_text_was_changed(repository: RepositorySimulator) -> None:
    repository.lies[WHITELIST] = lambda raw: raw.replace(b"\nE2026", b"\nE2096")
    with pytest.raises(errors.WhitelistTampered, match="was altered"):
        trust(repository)


def test_a_whitelist_signed_by_another_key(repository: RepositorySimulator) -> None:
    repository.sign_whitelist(by=STRANGER)
    with pytest.raises(errors.UntrustedSignature, match="signed by none of the 1 configured public keys"):
        trust(repository)


def test_a_whitelist_signed_by_the_repository_s_own_key(repository: RepositorySimulator) -> None:
    repository.sign_whitelist(by=REPOSITORY)
    with pytest.raises(errors.UntrustedSignature):
        trust(repository)


def test_a_whitelist_signed_in_the_manifest_s_way(repository: RepositorySimulator) -> None:
    """With a DigestInfo around a hash of the hash; the two kinds of signature must not stand in for each other."""
    repository.documents[WHITELIST] = sign_manifest(key(MASTER), repository.whitelist.encode(), repository.algorithm)
    with pytest.raises(errors.UntrustedSignature):
        trust(repository)


def test_a_manifest_signed_in_the_whitelist_s_way(repository: RepositorySimulator) -> None:
    repository.documents[MANIFEST] = sign_whitelist(key(REPOSITORY), repository.manifest.encode(), repository.algorithm)
    with pytest.raises(errors.UntrustedSignature):
        trust(repository)


def test_an_expired_whitelist(repository: RepositorySimulator) -> None:
    repository.sign_whitelist(created=NOW - timedelta(days=31), expires=NOW - timedelta(days=1))
    with pytest.raises(errors.WhitelistExpired, match="expired on 2026-05-31 12:30 UTC and now is 2026-06-01 12:30"):
        trust(repository)


def test_a_whitelist_is_good_until_the_hour_in_which_it_expires(repository: RepositorySimulator) -> None:
    repository.sign_whitelist(expires=NOW.replace(minute=59))
    with pytest.raises(errors.WhitelistExpired):
        trust(repository)
    repository.sign_whitelist(expires=NOW.replace(hour=NOW.hour + 1, minute=0))
    assert trust(repository).manifest == repository.manifest


def test_another_repository_s_whitelist(repository: RepositorySimulator) -> None:
    repository.sign_whitelist(fqrn="other.example.org")
    with pytest.raises(errors.WrongRepository, match=r"the whitelist is that of 'other\.example\.org'"):
        trust(repository)


def test_a_whitelist_that_is_cut_short(repository: RepositorySimulator) -> None:
    repository.lies[WHITELIST] = lambda raw: raw[:60]
    with pytest.raises(errors.WhitelistTampered, match="truncated"):
        trust(repository)


def test_a_well_signed_whitelist_that_cannot_be_read(repository: RepositorySimulator) -> None:
    repository.documents[WHITELIST] = sign_whitelist(key(MASTER), b"yesterday\n", repository.algorithm)
    with pytest.raises(errors.WhitelistTampered, match="cannot be read"):
        trust(repository)


def test_a_whitelist_that_lists_nobody(repository: RepositorySimulator) -> None:
    repository.sign_whitelist(fingerprints=())
    with pytest.raises(errors.CertificateNotListed):
        trust(repository)


# Attacks on the certificate


def test_a_certificate_that_is_not_listed(repository: RepositorySimulator) -> None:
    repository.sign_whitelist(fingerprints=(repository.fingerprint(STRANGER),))
    with pytest.raises(errors.CertificateNotListed):
        trust(repository)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_blacklisted_certificate(repository: RepositorySimulator, algorithm: Algorithm) -> None:
    banned = Certificate.parse(certificate_pem(REPOSITORY, repository.fqrn)).fingerprint(algorithm)
    anchors = banning(repository, parse_blacklist(f"# stolen in May\n{banned.text}\n"))
    with pytest.raises(errors.CertificateBlacklisted, match=banned.text):
        trust(repository, anchors=anchors)


def test_another_certificate_than_the_manifest_names_although_it_is_listed(repository: RepositorySimulator) -> None:
    repository.sign_whitelist(fingerprints=(repository.fingerprint(REPOSITORY), repository.fingerprint(STRANGER)))
    with pytest.raises(errors.UntrustedSignature):
        trust(repository, pem=certificate_pem(STRANGER, repository.fqrn))


@pytest.mark.parametrize(
    "spoil",
    [lambda pem: b"", lambda pem: pem[:200], lambda pem: b"garbage" * 50, lambda pem: key(REPOSITORY).public_key.pem],
    ids=["empty", "cut short", "garbage", "a bare key"],
)
def test_something_that_is_no_certificate(repository: RepositorySimulator, spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(errors.CorruptCertificate, match="certificate cannot be read"):
        trust(repository, pem=spoil(certificate_pem(REPOSITORY, repository.fqrn)))


def test_a_certificate_object_whose_bytes_were_changed(repository: RepositorySimulator) -> None:
    path = repository.certificate.path
    repository.lies[path] = lambda stored: flipped(stored, 8 * len(stored) - 1)
    with pytest.raises(errors.CorruptCertificate, match="do not match its name"):
        trust(repository)


def test_a_certificate_with_a_flipped_bit_in_its_der_form(repository: RepositorySimulator) -> None:
    der = ssl.PEM_cert_to_DER_cert(certificate_pem(REPOSITORY, repository.fqrn).decode())
    for bit in range(0, len(der) * 8, 97):
        pem = ssl.DER_cert_to_PEM_cert(flipped(der, bit)).encode()
        with pytest.raises((errors.CorruptCertificate, errors.CertificateNotListed)):
            trust(repository, pem=pem)


# The chain itself


def test_a_client_without_a_public_key_trusts_nobody() -> None:
    with pytest.raises(errors.ConfigError, match="no public key is configured"):
        TrustAnchors(())


def test_a_step_out_of_order_is_a_mistake_in_the_program() -> None:
    repository = RepositorySimulator()
    chain = Chain(repository.fqrn, repository.anchors, repository.now)
    for step in (lambda: chain.whitelist(b""), lambda: chain.certificate(b""), chain.seal):
        with pytest.raises(RuntimeError, match="expects manifest"):
            step()
    chain.manifest(repository.read(MANIFEST))
    for step in (lambda: chain.manifest(b""), lambda: chain.certificate(b""), chain.seal):
        with pytest.raises(RuntimeError, match="expects whitelist"):
            step()


def test_after_a_refusal_the_chain_cannot_be_continued() -> None:
    repository = RepositorySimulator()
    repository.sign_whitelist(by=STRANGER)
    chain = Chain(repository.fqrn, repository.anchors, repository.now)
    chain.manifest(repository.read(MANIFEST))
    with pytest.raises(errors.UntrustedSignature):
        chain.whitelist(repository.read(WHITELIST))
    with pytest.raises(RuntimeError):
        chain.certificate(certificate_pem(REPOSITORY, repository.fqrn))
    with pytest.raises(RuntimeError):
        chain.seal()


def test_a_chain_makes_one_manifest_only() -> None:
    repository = RepositorySimulator()
    chain = Chain(repository.fqrn, repository.anchors, repository.now)
    chain.manifest(repository.read(MANIFEST))
    chain.whitelist(repository.read(WHITELIST))
    chain.certificate(certificate_pem(REPOSITORY, repository.fqrn))
    chain.seal()
    with pytest.raises(RuntimeError):
        chain.seal()


def test_nobody_else_makes_a_trusted_manifest() -> None:
    repository = RepositorySimulator()
    with pytest.raises(TypeError, match=r"only trust\.chain"):
        TrustedManifest(repository.manifest, b"", repository.fqrn, NOW, object())


def test_each_refusal_has_an_exit_code_of_its_own_kind() -> None:
    refusals: list[type[SwrepoError]] = [
        errors.ManifestTampered,
        errors.WhitelistTampered,
        errors.CorruptCertificate,
        errors.UntrustedSignature,
        errors.WhitelistExpired,
        errors.CertificateNotListed,
        errors.CertificateBlacklisted,
        errors.WrongRepository,
        errors.Rollback,
        errors.CorruptObject,
        errors.CorruptCatalog,
        errors.TruncatedObject,
        errors.ObjectTooLarge,
        errors.DecompressionBomb,
    ]
    codes = [refusal.exit_code for refusal in refusals]
    assert len(set(codes)) == len(codes)
    assert not {0, 1, 2} & set(codes)
