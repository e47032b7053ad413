"""Real web servers and a real proxy, run with the configurations that docs/operations.md prints."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from swrepo.errors import ObjectNotFound
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.net.http import HttpClient, Timeouts
from swrepo.net.remote import Patience, RemoteRepository
from swrepo.net.routes import Route, Routes
from swrepo.objects.store import Want
from swrepo.web.serve import serving
from tests.faults import FaultServer, refusing
from tests.network import programs
from tests.network.programs import changed, free_port, printed, program, running
from tests.simulator import RepositorySimulator, flipped

APACHE_MODULES = Path("/usr/lib/apache2/modules")
PLAIN = bytes(range(256)) * 40


@dataclass(frozen=True)
class Served:
    """A repository behind a web server."""

    url: str
    root: Path
    repository: RepositorySimulator
    want: Want


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the users whom servers change to can enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="swrepo-web-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def repository() -> RepositorySimulator:
    return RepositorySimulator()


def save(repository: RepositorySimulator, directory: Path) -> Path:
    directory.mkdir(parents=True)
    root = repository.save(directory)
    (root / ".htpasswd").write_bytes(b"a secret")
    (root / f"{repository.fqrn}.key").write_bytes(b"a secret")
    (root / "data" / "txn" / ("b1" * 19)).write_bytes(b"a secret")
    (root / ".cvmfs_status.json").write_text("{}")
    return root


@contextmanager
def nginx(place: Path, repository: RepositorySimulator) -> Iterator[str]:
    binary, port = program("nginx", "nginx-light"), free_port()
    save(repository, place / "srv" / "cvmfs")
    server = changed(
        printed("nginx"),
        ("listen 80 reuseport", f"listen 127.0.0.1:{port}"),
        ("listen [::]:80 reuseport;", ""),
        ("root /srv;", f"root {place}/srv;"),
        ("from=/srv/cvmfs", f"from={place}/srv/cvmfs"),
    )
    temporary = "".join(
        f"{kind}_temp_path {place}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (place / "nginx.conf").write_text(
        f"daemon off; pid {place}/nginx.pid; error_log {place}/error.log;\nevents {{ }}\n"
        f"http {{ access_log off;\n{temporary}{server} }}\n"
    )
    arguments = [binary, "-c", str(place / "nginx.conf"), "-e", str(place / "error.log")]
    with running(arguments, port, place / "output.log"):
        yield f"http://127.0.0.1:{port}/cvmfs/{repository.fqrn}"


@contextmanager
def apache(place: Path, repository: RepositorySimulator) -> Iterator[str]:
    binary, port = program("apache2", "apache2"), free_port()
    save(repository, place / "srv" / "cvmfs")
    modules = ("mpm_event", "authz_core", "alias", "headers")
    loaded = "".join(f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n" for name in modules)
    user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
    (place / "apache.conf").write_text(
        f"ServerRoot {place}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {place}/apache.pid\n"
        f"DefaultRuntimeDir {place}\nMutex file:{place}\nErrorLog {place}/error.log\n{loaded}{user}"
        + changed(printed("apache"), ("/srv/cvmfs", f"{place}/srv/cvmfs"))
    )
    arguments = [binary, "-D", "FOREGROUND", "-f", str(place / "apache.conf")]
    with running(arguments, port, place / "output.log"):
        yield f"http://127.0.0.1:{port}/cvmfs/{repository.fqrn}"


@contextmanager
def ourselves(place: Path, repository: RepositorySimulator) -> Iterator[str]:
    save(repository, place / "srv" / "cvmfs")
    with serving([place / "srv" / "cvmfs"]) as url:
        yield f"{url}/{repository.fqrn}"


@pytest.fixture(params=[ourselves, nginx, apache], ids=lambda start: start.__name__)
def served(request: pytest.FixtureRequest, place: Path, repository: RepositorySimulator) -> Iterator[Served]:
    want = Want(repository.put(PLAIN), size=len(PLAIN))
    with request.param(place, repository) as url:
        yield Served(url, place / "srv" / "cvmfs" / repository.fqrn, repository, want)


@pytest.fixture
def client() -> Iterator[HttpClient]:
    found = HttpClient(timeouts=Timeouts(direct=10, proxied=10))
    yield found
    found.close()


def test_a_repository_is_read_through_it(served: Served, client: HttpClient) -> None:
    remote = RemoteRepository(Routes([served.url]), client)
    out = BytesIO()
    remote.fetch(served.want, out)
    assert out.getvalue() == PLAIN
    for name in (MANIFEST, WHITELIST):
        assert remote.read(name) == served.repository.documents[name]
    with pytest.raises(ObjectNotFound):
        remote.read(".cvmfs_last_snapshot")


@pytest.mark.parametrize(
    ("name", "content_type", "cache_control"),
    [
        (MANIFEST, "application/x-cvmfs", "max-age=61"),
        (".cvmfs_status.json", "application/json", "max-age=61"),
        (None, "application/octet-stream", "max-age=259200"),
    ],
    ids=["manifest", "json", "object"],
)
def test_the_headers_are_what_caches_need(
    served: Served, client: HttpClient, name: str | None, content_type: str, cache_control: str
) -> None:
    path = name or served.want.id.path
    sent = ("If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",)
    with client.stream(f"{served.url}/{path}", headers=sent) as response:
        assert response.status == 200
        assert response.headers["content-type"] == content_type
        assert response.headers["cache-control"] == cache_control
        assert response.headers["accept-ranges"] == "bytes"
        assert "last-modified" not in response.headers
        assert "etag" not in response.headers


def test_a_part_of_an_object_is_served(served: Served, client: HttpClient) -> None:
    stored = served.repository.stored[served.want.id.path]
    with client.stream(f"{served.url}/{served.want.id.path}", headers=("Range: bytes=10-19",)) as response:
        assert response.status == 206
        assert b"".join(response.blocks) == stored[10:20]


@pytest.mark.parametrize(
    "name",
    [
        ".htpasswd",
        "software.example.org.key",
        "data/txn/" + "b1" * 19,
        "data/",
        "",
        ".cvmfs_link",
        "data/0a/../../.htpasswd",
    ],
)
def test_what_is_not_public_does_not_exist(served: Served, client: HttpClient, name: str) -> None:
    (served.root / ".cvmfs_link").symlink_to(served.root / ".htpasswd")
    with client.stream(f"{served.url}/{name}") as response:
        assert response.status in (403, 404)
        assert b"secret" not in b"".join(response.blocks)


class TestThroughSquid:
    @pytest.fixture
    def squid(self, place: Path) -> Iterator[str]:
        server, url = programs.squid(place)
        server.start()
        yield url
        server.kill()

    def test_what_one_client_fetched_the_next_gets_from_the_proxy(
        self, place: Path, repository: RepositorySimulator, squid: str, client: HttpClient
    ) -> None:
        want = Want(repository.put(PLAIN), size=len(PLAIN))
        save(repository, place / "srv" / "cvmfs")
        log: list[str] = []
        with serving([place / "srv" / "cvmfs"], access_log=log.append) as url:
            for _ in range(3):
                remote = RemoteRepository(Routes([f"{url}/{repository.fqrn}"], ((squid,),)), client)
                out = BytesIO()
                remote.fetch(want, out)
                assert out.getvalue() == PLAIN
                assert remote.read(MANIFEST) == repository.documents[MANIFEST]
        assert len([line for line in log if want.id.path in line]) == 1
        assert len([line for line in log if MANIFEST in line]) == 1

    def test_a_damaged_copy_in_the_proxy_is_replaced(
        self, place: Path, repository: RepositorySimulator, squid: str, client: HttpClient
    ) -> None:
        want = Want(repository.put(PLAIN), size=len(PLAIN))
        path = save(repository, place / "srv" / "cvmfs") / want.id.path
        stored = path.read_bytes()
        log: list[str] = []
        with serving([place / "srv" / "cvmfs"], access_log=log.append) as url:
            path.write_bytes(flipped(stored, 1000))
            with client.stream(f"{url}/{repository.fqrn}/{want.id.path}", squid) as response:
                assert b"".join(response.blocks) != stored
            path.write_bytes(stored)
            for _ in range(2):
                out = BytesIO()
                RemoteRepository(Routes([f"{url}/{repository.fqrn}"], ((squid,),)), client).fetch(want, out)
                assert out.getvalue() == PLAIN
        assert len(log) == 2, "once to damage the proxy's copy, once past it; the third found the new copy"

    def test_a_server_that_is_down_behind_the_proxy_is_left(
        self, place: Path, repository: RepositorySimulator, squid: str, client: HttpClient
    ) -> None:
        save(repository, place / "srv" / "cvmfs")
        with refusing() as down, serving([place / "srv" / "cvmfs"]) as url:
            routes = Routes([f"{down}/cvmfs/x", f"{url}/{repository.fqrn}"], ((squid,),))
            remote = RemoteRepository(routes, client, patience=Patience(0))
            assert remote.read(MANIFEST) == repository.documents[MANIFEST]
            assert routes.current() == Route(f"{url}/{repository.fqrn}", squid)

    def test_a_proxy_that_refuses_to_help_is_left(
        self, repository: RepositorySimulator, squid: str, client: HttpClient
    ) -> None:
        # The documented rules allow the servers of the repositories only, and this address is none of them.
        with FaultServer({f"/{name}": data for name, data in repository.documents.items()}, "127.0.0.2") as server:
            routes = Routes([server.url], ((squid,), (None,)))
            remote = RemoteRepository(routes, client, patience=Patience(0))
            assert remote.read(MANIFEST) == repository.documents[MANIFEST]
            assert routes.current() == Route(server.url, None)
            assert server.count(f"/{MANIFEST}") == 1
