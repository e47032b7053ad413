"""`swrepo serve` tells of new revisions: what it has on the disk, and as soon as that changes."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from swrepo.format.announcement import Announcement
from swrepo.format.wellknown import MANIFEST
from swrepo.web.serve import serving
from tests.simulator import RepositorySimulator

PATH = "/api/v1/notifications/subscribe"


class Repository:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.simulator = RepositorySimulator()
        self.publish()

    @property
    def fqrn(self) -> str:
        return self.simulator.fqrn

    @property
    def manifest(self) -> Path:
        return self.directory / self.fqrn / MANIFEST

    def publish(self) -> bytes:
        self.simulator.publish({})
        self.simulator.save(self.directory)
        return self.manifest.read_bytes()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def subscribed(url: str, body: bytes, path: str = PATH) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("GET", path, body)
    return connection, connection.getresponse()


def events(response: http.client.HTTPResponse) -> Iterator[Announcement]:
    for line in response:
        if line.startswith(b"data: "):
            yield Announcement.parse(line.removeprefix(b"data: "))


def asking_for(fqrn: str) -> bytes:
    return json.dumps({"version": 1, "repository": fqrn}).encode()


def test_the_newest_revision_is_told_at_once_and_each_that_follows(repository: Repository) -> None:
    with serving([repository.directory]) as url:
        connection, response = subscribed(url, asking_for(repository.fqrn))
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        told = events(response)
        first = next(told)
        assert (first.fqrn, first.manifest) == (repository.fqrn, repository.manifest.read_bytes())
        other_connection, other = subscribed(url, asking_for(repository.fqrn))
        assert next(events(other)).manifest == first.manifest
        for _ in range(2):
            after = repository.publish()
            assert next(told).manifest == after
        other_connection.close()
        connection.close()


def test_stopping_ends_subscriptions_and_waits_for_none(repository: Repository) -> None:
    with serving([repository.directory]) as url:
        connection, response = subscribed(url, asking_for(repository.fqrn))
        told = events(response)
        next(told)
    assert next(told, None) is None  # and no error: it was ended in good order
    connection.close()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", asking_for("missing.example.org"), asking_for("../x"), b"[" * 5000]
)
def test_who_asks_for_nothing_that_is_served_is_told_so(repository: Repository, body: bytes) -> None:
    with serving([repository.directory]) as url:
        connection, response = subscribed(url, body)
        assert response.status == 404
        connection.close()


def test_a_manifest_that_is_half_written_is_not_told(repository: Repository) -> None:
    with serving([repository.directory]) as url:
        connection, response = subscribed(url, asking_for(repository.fqrn))
        told = events(response)
        whole = next(told).manifest
        repository.manifest.write_bytes(whole[:20])
        after = repository.publish()
        assert next(told).manifest == after
        connection.close()
