"""From an address to a root catalog over a long link: what is fetched at the same time, and what need not be fetched."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from swrepo.cache.disk import DiskCache
from swrepo.errors import CertificateNotListed, ManifestTampered, ObjectNotFound, RepositoryNotFound, UntrustedSignature
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import Kind
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.objects.store import Want
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.repository.meanwhile import Meanwhile
from swrepo.trust.chain import TrustedManifest
from tests.simulator import NOW, STRANGER, RepositorySimulator, certificate_pem

PATIENCE = 20.0
"""Seconds after which a request that was to be under way at the same time as another is known not to be."""


class LongLink:
    """Answers requests in rounds: each round only once all of its requests have arrived, so they must overlap."""

    def __init__(self, repository: RepositorySimulator, *rounds: set[str]) -> None:
        self._round_of = {path: number for number, paths in enumerate(rounds) for path in paths}
        self._arrived = [threading.Barrier(len(paths)) for paths in rounds]
        repository.on_request = self._wait

    def _wait(self, path: str) -> None:
        self._arrived[self._round_of[path]].wait(PATIENCE)


class Client:
    """What a mount does first, on a cache of its own."""

    def __init__(self, repository: RepositorySimulator, cache: Path) -> None:
        self.repository = repository
        self.cache = DiskCache(cache, repository)

    def trusted(self) -> TrustedManifest:
        return trusted_manifest(
            self.repository.fqrn,
            self.repository,
            self.repository,
            self.repository.anchors,
            NOW,
            nearby=self.cache,
            ahead=self.bring_root,
        )

    def bring_root(self, claim: Manifest) -> None:
        os.close(self.cache.open(Want(claim.root_catalog, size=claim.root_size)))

    def has(self, want: Want) -> bool:
        found = self.cache.open_if_here(want)
        if found is not None:
            os.close(found)
        return found is not None


@pytest.fixture
def repository() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture
def client(repository: RepositorySimulator, tmp_path: Path):
    client = Client(repository, tmp_path / "cache")
    yield client
    client.cache.close()


def root(repository: RepositorySimulator) -> Want:
    return Want(repository.manifest.root_catalog, size=repository.manifest.root_size)


def test_the_first_mount_takes_two_round_trips(repository, client) -> None:
    LongLink(
        repository,
        {MANIFEST, WHITELIST},
        {repository.certificate.path, repository.manifest.root_catalog.path},
    )
    assert client.trusted().manifest == repository.manifest
    assert client.has(root(repository))
    assert len(repository.requests) == 4


def test_the_next_mount_takes_one(repository, client) -> None:
    client.trusted()
    repository.requests.clear()
    LongLink(repository, {MANIFEST, WHITELIST})

    client.trusted()

    assert sorted(repository.requests) == [MANIFEST, WHITELIST]


def test_a_new_revision_by_the_same_publisher_takes_one_and_its_catalog(repository, client) -> None:
    client.trusted()
    repository.publish({})
    repository.requests.clear()
    LongLink(repository, {MANIFEST, WHITELIST}, {repository.manifest.root_catalog.path})

    assert client.trusted().manifest.root_catalog == repository.manifest.root_catalog
    assert sorted(repository.requests) == [MANIFEST, WHITELIST]


def test_nothing_is_fetched_for_a_manifest_that_is_not_in_order(repository, client) -> None:
    repository.lies[MANIFEST] = lambda document: document.replace(b"N", b"M", 1)
    with pytest.raises(ManifestTampered):
        client.trusted()
    assert set(repository.requests) <= {MANIFEST, WHITELIST}


def test_nothing_is_fetched_when_the_whitelist_is_not_the_owners(repository, client) -> None:
    repository.sign_whitelist(by=STRANGER)
    with pytest.raises(UntrustedSignature):
        client.trusted()
    assert sorted(repository.requests) == [MANIFEST, WHITELIST]


def test_a_missing_repository_is_told_before_a_missing_whitelist(repository, client) -> None:
    del repository.documents[MANIFEST], repository.documents[WHITELIST]
    with pytest.raises(RepositoryNotFound):
        client.trusted()


def test_a_missing_whitelist_is_missing(repository, client) -> None:
    del repository.documents[WHITELIST]
    with pytest.raises(ObjectNotFound):
        client.trusted()


def test_a_root_catalog_that_does_not_come_is_no_matter_of_trust(repository, client) -> None:
    del repository.stored[repository.manifest.root_catalog.path]
    assert client.trusted().manifest == repository.manifest


def test_a_damaged_certificate_in_the_cache_is_fetched_again(repository, client, tmp_path) -> None:
    client.trusted()
    kept = tmp_path / "cache" / repository.certificate.cache_path
    kept.chmod(0o600)
    kept.write_bytes(kept.read_bytes()[:-40] + b"x" * 40)
    repository.requests.clear()

    assert client.trusted().manifest == repository.manifest

    assert repository.certificate.path in repository.requests


def test_a_certificate_in_the_cache_is_not_believed_for_being_there(repository, client) -> None:
    other = repository.put(certificate_pem(STRANGER, repository.fqrn), Kind.CERTIFICATE)
    os.close(client.cache.open(Want(other)))
    repository.sign_manifest(by=STRANGER, certificate=other)
    with pytest.raises(CertificateNotListed):
        client.trusted()


def test_who_leaves_with_an_error_does_not_wait_for_what_was_under_way() -> None:
    go_on = threading.Event()
    with pytest.raises(KeyError), Meanwhile(lambda: go_on.wait(PATIENCE)):
        raise KeyError
    go_on.set()


def test_an_error_of_the_other_thread_is_raised_where_its_result_is_asked_for() -> None:
    def fail() -> None:
        raise LookupError

    with Meanwhile(fail) as other, pytest.raises(LookupError):
        other.result()
