"""Many clients that start at once behind one proxy, a real Squid: each object leaves the server once."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from swrepo.client.access import Access
from swrepo.client.preload import preload
from swrepo.client.request import AccessRequest
from swrepo.net.http import Timeouts
from swrepo.repository.walk import walk
from tests.network.programs import squid
from tests.simulated_trees import File
from tests.simulator import NOW, RepositorySimulator

CLIENTS = 20
ROUND_TRIP = 0.05
"""Seconds that the server takes for an answer: all clients have asked for an object before it is at the proxy."""

SMALL = {b"/lib/m%02d.py" % number: b"module %d\n" % number * 200 for number in range(30)}
LARGE = {b"/lib/large%d" % number: os.urandom(size) for number, size in enumerate((100_000, 300_000, 3_000_000))}
CHUNKED = {b"/data/chunked": os.urandom(800_000)}
CONTENT = SMALL | LARGE | CHUNKED


class Origin:
    """A server that sends what docs/operations.md wants it to, late, and counts what it is asked for."""

    def __init__(self, root: Path) -> None:
        self.requests: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        origin = self
        lock = threading.Lock()
        late = threading.Event()

        class Handler(SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with lock:
                    origin.requests[self.path] += 1
                    origin.headers.append({name.lower(): value for name, value in self.headers.items()})
                late.wait(ROUND_TRIP)
                super().do_GET()

            def end_headers(self) -> None:
                self.send_header("Cache-Control", f"max-age={259200 if '/data/' in self.path else 61}")
                super().end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the user whom Squid changes to can enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="swrepo-squid-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def repository() -> RepositorySimulator:
    simulator = RepositorySimulator()
    files = {path: File(content=content) for path, content in (SMALL | LARGE).items()}
    files |= {path: File(content=content, chunk_size=200_000) for path, content in CHUNKED.items()}
    simulator.publish(files, (b"/lib", b"/data"))
    return simulator


@pytest.fixture
def origin(repository: RepositorySimulator, tmp_path: Path) -> Iterator[Origin]:
    repository.save(tmp_path)
    found = Origin(tmp_path)
    yield found
    found.close()


@pytest.fixture
def proxy(place: Path) -> Iterator[str]:
    server, url = squid(place)
    server.start()
    yield url
    server.kill()


@contextmanager
def opened(repository: RepositorySimulator, origin: Origin, proxy: str, directory: Path) -> Iterator[Access]:
    directory.mkdir()
    key = directory / "key.pub"
    key.write_bytes(b"".join(key.pem for key in repository.anchors.keys))
    request = AccessRequest(
        urls=(f"{origin.url}/{repository.fqrn}",),
        keys=(key,),
        cache=directory / "cache",
        proxies=((proxy,),),
        timeouts=Timeouts(proxied=60.0),
        clock=lambda: NOW,
    )
    with Access(request) as access:
        yield access


def read(access: Access) -> dict[bytes, bytes]:
    found = {}
    for path, entry in walk(access.revision):
        if entry.is_regular:
            with access.revision.content(path) as content:
                found[path] = b"".join(content.blocks())
    return found


def fetch_all(access: Access) -> dict[bytes, bytes]:
    """Many small objects together, as whoever fetches ahead does, and large ones side by side."""
    assert preload(access, jobs=8).is_complete
    return read(access)


@pytest.mark.parametrize("use", [read, fetch_all], ids=["one after another", "many at a time"])
def test_twenty_clients_that_start_at_once_take_each_object_from_the_server_once(
    use, repository: RepositorySimulator, origin: Origin, proxy: str, tmp_path: Path
) -> None:
    ready = threading.Barrier(CLIENTS)

    def client(number: int) -> dict[bytes, bytes]:
        ready.wait(60)
        with opened(repository, origin, proxy, tmp_path / f"client{number}") as access:
            return use(access)

    with ThreadPoolExecutor(CLIENTS) as machines:
        found = list(machines.map(client, range(CLIENTS)))
    assert all(one == CONTENT for one in found)
    assert {path: count for path, count in origin.requests.items() if count > 1} == {}
    assert len([path for path in origin.requests if "/data/" in path]) >= len(SMALL) + len(LARGE) + 4


def test_what_is_asked_for_is_the_same_for_all_and_may_come_from_a_cache(
    repository: RepositorySimulator, origin: Origin, proxy: str, tmp_path: Path
) -> None:
    with opened(repository, origin, proxy, tmp_path / "client") as access:
        fetch_all(access)
    for headers in origin.headers:
        assert "no-cache" not in headers.get("cache-control", "") + headers.get("pragma", "")
        assert not {"authorization", "cookie", "range", "if-none-match", "if-modified-since"} & set(headers)
    assert all("?" not in path for path in origin.requests)
