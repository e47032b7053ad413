"""What the configuration says of the network, seen by servers of a real mount."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from swrepo.format.compression import Compression
from swrepo.fuse.mount import mounted_at, umount
from tests.faults import Exchange, FaultServer, instead, truth
from tests.mount.programs import Programs
from tests.network import programs
from tests.simulated_trees import File
from tests.simulator import MASTER, RepositorySimulator, key

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened"),
]

OUTSIDE = bytes(range(256)) * 64


class Client(Programs):
    """A machine with a mount of `repository`, from `servers`."""

    def __init__(self, directory: Path, repository: RepositorySimulator) -> None:
        super().__init__(directory)
        self.fqrn = repository.fqrn
        self.point = self.prefix / "mnt"
        self.point.mkdir(parents=True)
        self.key = self.prefix / "key.pub"
        self.key.write_bytes(key(MASTER).public_key.pem)

    def mount(self, **settings: object) -> None:
        path = self.prefix / "etc/cvmfs/default.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        settings = {"CVMFS_PUBLIC_KEY": self.key, **settings}
        path.write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))
        self.run("mount.cvmfs", self.fqrn, self.point)


@pytest.fixture
def repository() -> RepositorySimulator:
    repository = RepositorySimulator(now=datetime.now(UTC))
    files = {f"/f{number}".encode(): File(content=b"file %d" % number) for number in range(40)}
    outside = File(content=OUTSIDE, compression=Compression.NONE, external=True)
    cut = File(content=OUTSIDE, compression=Compression.NONE, external=True, chunk_size=5000)
    repository.publish({**files, b"/a dir/outside": outside, b"/a dir/cut": cut})
    return repository


def contents(repository: RepositorySimulator) -> dict[str, bytes]:
    return {f"/{path}": data for path, data in {**repository.documents, **repository.stored}.items()}


@pytest.fixture
def server(repository: RepositorySimulator) -> Iterator[FaultServer]:
    with FaultServer(contents(repository)) as server:
        yield server


@pytest.fixture
def client(tmp_path: Path, repository: RepositorySimulator) -> Iterator[Client]:
    client = Client(tmp_path / "client", repository)
    yield client
    if mounted_at(str(client.point)) is not None:
        umount(str(client.point), lazy=True)


def shown(client: Client, path: str) -> bytes:
    """What another process reads."""
    return subprocess.run(["cat", client.point / path], check=True, capture_output=True).stdout


def test_external_files_are_read_by_their_paths(client: Client, server: FaultServer) -> None:
    paths = {"/ext/a%20dir/outside": OUTSIDE, "/ext/a%20dir/cut": OUTSIDE}
    with FaultServer(paths) as external:
        client.mount(CVMFS_SERVER_URL=server.url, CVMFS_EXTERNAL_URL=f"{external.url}/ext")
        assert shown(client, "a dir/outside") == OUTSIDE
        assert shown(client, "a dir/cut") == OUTSIDE
        assert {asked.target for asked in external.requests} == set(paths)
        assert {asked.headers.get("range") for asked in external.requests if "cut" in asked.target} >= {
            "bytes=0-4999",
            "bytes=15000-16383",
        }


def test_servers_are_told_which_process_of_which_user_asks(
    client: Client, server: FaultServer, repository: RepositorySimulator
) -> None:
    client.mount(CVMFS_SERVER_URL=server.url, CVMFS_HTTP_TRACING="on", CVMFS_HTTP_TRACING_HEADERS="site:T2|rack:7")
    with subprocess.Popen(["cat", client.point / "f7"], stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.read() == b"file 7"
    target = f"/{repository.put(b'file 7').path}"
    headers = next(asked.headers for asked in server.requests if asked.target == target)
    assert headers["x-cvmfs-pid"] == str(reader.pid)
    assert (headers["x-cvmfs-uid"], headers["x-cvmfs-gid"]) == (str(os.geteuid()), str(os.getegid()))
    assert (headers["x-cvmfs-site"], headers["x-cvmfs-rack"]) == ("T2", "7")


def test_the_nearest_server_is_used(client: Client, server: FaultServer, repository: RepositorySimulator) -> None:
    with FaultServer(contents(repository), "127.0.0.2") as near:
        for one in (server, near):
            one.always(lambda exchange: _order(exchange, b"2,1\n"))
        client.mount(CVMFS_SERVER_URL=f"{server.url};{near.url}", CVMFS_USE_GEOAPI="yes")
        pause = threading.Event()
        for number in range(40):
            before = len(near.requests)
            assert shown(client, f"f{number}") == b"file %d" % number
            if len(near.requests) > before:
                break
            pause.wait(0.05)
        else:
            pytest.fail("the nearest server was not used")


def _order(exchange: Exchange, order: bytes) -> None:
    (instead(order) if "/geo/" in exchange.asked.target else truth)(exchange)


def test_proxies_share_the_objects_where_they_are_sharded(
    client: Client, server: FaultServer, repository: RepositorySimulator
) -> None:
    through = {f"{server.url}{path}": data for path, data in contents(repository).items()}
    with FaultServer(through, "127.0.0.2") as first, FaultServer(through, "127.0.0.3") as second:
        client.mount(CVMFS_SERVER_URL=server.url, CVMFS_HTTP_PROXY=f"{first.url}|{second.url}", CVMFS_PROXY_SHARD="yes")
        for number in range(40):
            assert shown(client, f"f{number}") == b"file %d" % number
        parts = [{asked.target for asked in proxy.requests if "/data/" in asked.target} for proxy in (first, second)]
        assert all(len(part) > 8 for part in parts)
        assert not parts[0] & parts[1]


READER = """
import os, sys
top = sys.argv[1]
for name in sorted(os.listdir(top), key=lambda name: name[::-1]):
    with open(os.path.join(top, name), "rb") as file:
        print(name, len(file.read()), flush=True)
"""


def test_programs_read_on_while_proxies_and_servers_die_and_stall(tmp_path: Path) -> None:
    repository = RepositorySimulator(now=datetime.now(UTC))
    repository.publish({f"/d/f{number:03}".encode(): File(content=b"%03d" % number * 9999) for number in range(600)})
    with tempfile.TemporaryDirectory(prefix="swrepo-mount-", ignore_cleanup_errors=True) as name, ExitStack() as stack:
        place = Path(name)
        place.chmod(0o777)
        (place / "cvmfs").mkdir()
        repository.save(place / "cvmfs")
        servers, urls = zip(*(programs.nginx(place / one, place) for one in "ab"), strict=True)
        proxies, addresses = zip(*(programs.squid(place / one) for one in "pq"), strict=True)
        for server in (*servers, *proxies):
            server.start()
            stack.callback(server.kill)
        client = Client(tmp_path / "client", repository)
        client.mount(
            CVMFS_SERVER_URL=";".join(f"{url}/cvmfs/@fqrn@" for url in urls),
            CVMFS_HTTP_PROXY="|".join(addresses) + ";DIRECT",
            CVMFS_TIMEOUT=1,
            CVMFS_TIMEOUT_DIRECT=1,
            CVMFS_PROXY_RESET_AFTER=1,
            CVMFS_HOST_RESET_AFTER=1,
            CVMFS_BACKOFF_INIT=1,
        )
        stack.callback(umount, str(client.point), lazy=True)
        arguments = [sys.executable, "-c", READER, client.point / "d"]
        events = [
            servers[0].kill,
            proxies[0].stall,
            servers[0].start,
            proxies[1].kill,
            servers[1].stall,
            proxies[1].start,
            proxies[0].go_on,
            servers[1].go_on,
            servers[0].stall,
        ]  # at each moment there is a way
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
            assert reader.stdout is not None
            assert reader.stderr is not None
            lines = []
            for line in reader.stdout:
                lines.append(line)
                if len(lines) % 50 == 0 and events:
                    events.pop(0)()
            assert reader.stderr.read() == ""
        servers[0].go_on()
        assert len(lines) == 600
        assert {line.split()[1] for line in lines} == {str(3 * 9999)}
        assert not events
