"""A client that opens a repository over HTTP: which requests it sends, and which of them at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from swrepo.client.access import Access
from swrepo.client.request import AccessRequest
from swrepo.errors import ObjectNotFound
from swrepo.format.wellknown import MANIFEST, WHITELIST
from tests.simulated_trees import File
from tests.simulator import MASTER, NOW, RepositorySimulator, key

PATIENCE = 20.0


class Server(ThreadingHTTPServer):
    """Serves a simulated repository; where `rounds` says so, an answer waits until the others of its round are asked for."""

    daemon_threads = True

    def __init__(self, repository: RepositorySimulator) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repository = repository
        self.rounds: dict[str, threading.Barrier] = {}
        self.connections = 0
        repository.on_request = self._wait

    def process_request(self, *connected: Any) -> None:
        self.connections += 1
        super().process_request(*connected)

    def handle_error(self, *_: object) -> None:
        """A client that goes away meanwhile is no error."""

    def expect_together(self, *paths: str) -> None:
        barrier = threading.Barrier(len(paths))
        self.rounds.update(dict.fromkeys(paths, barrier))

    def _wait(self, path: str) -> None:
        if path in self.rounds:
            self.rounds[path].wait(PATIENCE)


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        try:
            data = self.server.repository.served(self.path.removeprefix("/"))
        except ObjectNotFound:
            self.send_error(404)
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def repository() -> RepositorySimulator:
    repository = RepositorySimulator()
    repository.publish({b"/f": File(content=b"a file")})
    return repository


@pytest.fixture
def server(repository: RepositorySimulator) -> Iterator[Server]:
    with Server(repository) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


def opened(server: Server, tmp_path: Path, early: int = 0) -> Access:
    public = tmp_path / "key.pub"
    public.write_bytes(key(MASTER).public_key.pem)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    return Access(
        AccessRequest((url,), (public,), tmp_path / "cache", server.repository.fqrn, clock=lambda: NOW, early=early)
    )


def test_the_first_opening_takes_two_round_trips(server, repository, tmp_path) -> None:
    server.expect_together(MANIFEST, WHITELIST)
    server.expect_together(repository.certificate.path, repository.manifest.root_catalog.path)

    with opened(server, tmp_path) as access:
        assert access.revision.lookup(b"/f").size == 6

    assert len(repository.requests) == 4


def test_the_next_opening_takes_one(server, repository, tmp_path) -> None:
    opened(server, tmp_path).close()
    repository.requests.clear()
    server.expect_together(MANIFEST, WHITELIST)

    with opened(server, tmp_path) as access:
        assert access.revision.lookup(b"/f").size == 6

    assert sorted(repository.requests) == [MANIFEST, WHITELIST]


def test_looking_for_a_new_revision_that_there_is_none_of_takes_one(server, repository, tmp_path) -> None:
    with opened(server, tmp_path) as access:
        repository.requests.clear()
        server.expect_together(MANIFEST, WHITELIST)
        assert access.newer() is None
    assert sorted(repository.requests) == [MANIFEST, WHITELIST]


def test_the_first_file_takes_one_round_trip_more_and_no_connection(server, repository, tmp_path) -> None:
    with opened(server, tmp_path) as access:
        connections = server.connections
        repository.requests.clear()
        assert access.revision.content(b"/f").pread(0, 6) == b"a file"
    assert len(repository.requests) == 1
    assert server.connections == connections == 2


def test_connections_for_small_files_are_opened_meanwhile_and_nothing_more_is_asked_for(
    server, repository, tmp_path
) -> None:
    server.expect_together(MANIFEST, WHITELIST)
    with opened(server, tmp_path, early=3) as access:
        for thread in [thread for thread in threading.enumerate() if thread.name == "line"]:
            thread.join()
        want = access.revision.content(b"/f").wants()[0]
        assert len(repository.requests) == 4
        coming = access.cache.begin(want)  # over a line: without one there is none
        assert coming is not None
        coming.cancel()
    assert server.connections == 2 + 3
