"""`swrepo.open` with an HTTP server: threads and forked children fetch, and what was fetched needs no server."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import pytest

import swrepo
from swrepo.errors import RepositoryNotFound, Unreachable
from tests.publishing import Server, fast_options


class Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass


class OneAnswer(Handler):
    """No connection is kept, so that a server that is shut down answers nobody."""

    protocol_version = "HTTP/1.0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    found = Server(tmp_path_factory.mktemp("server"), fast_options())
    for number in range(60):
        (found.tree / f"{number}").write_bytes(os.urandom(3000))
    found.publish()
    return found


@pytest.fixture
def web(server: Server) -> Iterator[ThreadingHTTPServer]:
    root = server.places.storage.parents[1]  # /srv
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root))) as httpd:
        httpd.daemon_threads = True
        thread = Thread(target=httpd.serve_forever)
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


@pytest.fixture
def url(web: ThreadingHTTPServer, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path / "client"))
    return f"http://127.0.0.1:{web.server_port}/cvmfs/{server.fqrn}"


def test_many_threads_fetch_at_once(url: str, server: Server) -> None:
    with swrepo.open(url, key=server.places.keys.public) as repo, ThreadPoolExecutor(16) as pool:
        names = [name for name in repo.listdir() if name.isdigit()]
        assert len(names) == 60
        for name, data in zip(names, pool.map(repo.read_bytes, names), strict=True):
            assert data == (server.tree / name).read_bytes()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_children_fetch_what_their_parent_has_not(url: str, server: Server) -> None:
    with swrepo.open(url, key=server.places.keys.public) as repo:
        repo.read_bytes("0")  # the network thread runs
        fork = multiprocessing.get_context("fork")
        children = [fork.Process(target=_read, args=(repo, server.tree, range(first, 40, 2))) for first in (0, 1)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0, 0]
        _read(repo, server.tree, range(30, 60))


def test_what_was_fetched_is_read_when_no_server_answers(
    url: str, web: ThreadingHTTPServer, server: Server, expected_warnings
) -> None:
    with swrepo.open(url, key=server.places.keys.public) as repo:
        assert repo.fetch(["1", "2"]).files == 2
    nowhere = f"http://127.0.0.1:1/cvmfs/{server.fqrn}"
    expected_warnings("showing revision")
    settings = {"CVMFS_MAX_RETRIES": "0"}
    with swrepo.open(nowhere, key=server.places.keys.public, settings=settings) as repo:
        _read(repo, server.tree, range(1, 3))
        with pytest.raises(Unreachable), repo.open("3") as file:
            file.read()


def test_a_repository_that_the_server_does_not_have_is_not_found(url: str, server: Server) -> None:
    with pytest.raises(RepositoryNotFound):
        swrepo.open(url.replace("sw.example", "no.example"), key=server.places.keys.public)


def test_where_no_server_answers_it_is_a_connection_error(url: str, web: ThreadingHTTPServer, server: Server) -> None:
    web.RequestHandlerClass = partial(OneAnswer, directory=str(server.places.storage.parents[1]))
    with swrepo.open(url, key=server.places.keys.public, settings={"CVMFS_MAX_RETRIES": "0"}) as repo:
        file = repo.open("7", "rb", buffering=0)
        web.shutdown()
        web.server_close()
        for use in (file.read, lambda: repo.read_text("8"), repo.fetch, repo.refresh):
            with pytest.raises(ConnectionError) as raised:
                use()
            assert isinstance(raised.value, Unreachable)
            assert raised.value.tries
            assert "127.0.0.1" in str(raised.value)
    fs = fsspec.filesystem("cvmfs", server_url=url, key=server.places.keys.public, cache="elsewhere")
    with pytest.raises(ConnectionError):
        fs.cat_file(f"{server.fqrn}/9")


def test_where_servers_let_the_time_pass_it_is_a_timeout_error(server: Server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path / "client"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/cvmfs/{server.fqrn}"
        settings = {"CVMFS_MAX_RETRIES": "0", "CVMFS_TIMEOUT_DIRECT": "1"}
        with pytest.raises(TimeoutError) as raised:
            swrepo.open(url, key=server.places.keys.public, settings=settings)
    assert isinstance(raised.value, Unreachable)
    assert raised.value.exit_code == Unreachable.exit_code


def _read(repo: swrepo.Repository, tree: Path, numbers: range) -> None:
    for number in numbers:
        assert repo.read_bytes(str(number)) == (tree / str(number)).read_bytes()
