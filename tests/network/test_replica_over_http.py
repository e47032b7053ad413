"""A replica over HTTP: what is asked of the stratum 0, and clients that go from one server to the other."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from swrepo.cli.main import main
from swrepo.client.access import Access
from swrepo.client.request import AccessRequest
from swrepo.errors import Unreachable
from swrepo.format.wellknown import MANIFEST
from swrepo.web.serve import serving
from tests.publishing import Server, fast_options
from tests.replicas import Replica, copy_of

FILES = 700


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """More small files than a batch has, and a large one."""
    server = Server(tmp_path_factory.mktemp("replicas") / "published", fast_options(auto_tag=False))
    for number in range(FILES):
        directory = server.tree / str(number % 7)
        directory.mkdir(exist_ok=True)
        (directory / f"{number}").write_text(f"file {number}\n")
    (server.tree / "0/.cvmfscatalog").touch()
    (server.tree / "large").write_bytes(os.urandom(3 << 20))
    server.publish("first")
    return server


@pytest.fixture
def server(tmp_path: Path, published: Server) -> Server:
    return copy_of(published, tmp_path / "stratum0")


def test_each_object_is_asked_for_once_and_nothing_else(tmp_path: Path, server: Server) -> None:
    lines: list[str] = []
    with serving([server.layout.served], access_log=lines.append) as url:
        replica = Replica(tmp_path / "stratum1", server, f"{url}/sw.example.org")
        lines.clear()
        done = replica.snapshot()
        assert replica.faults() == []
        asked = Counter(line.split()[2] for line in lines)
        # The certificate once more, for the signature was to be verified before anything is stored.
        assert {
            path: count for path, count in asked.items() if "/data/" in path and count > 1 and path[-2] != "X"
        } == {}
        assert done.fetched == len(replica.objects()) - replica_extra(replica, server)
        lines.clear()
        assert replica.snapshot().fetched == 0
        assert {line.split()[2].rpartition("/")[2][:6] for line in lines if "/data/" not in line} == {".cvmfs"}
        assert sum("/data/" in line for line in lines) == 1  # the certificate


def replica_extra(replica: Replica, server: Server) -> int:
    return len(replica.objects() - server.objects())


def test_a_server_that_goes_away_meanwhile_is_named_and_what_came_stays(tmp_path: Path, server: Server) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(serving([server.layout.served]))
        replica = Replica(tmp_path / "stratum1", server, f"{url}/sw.example.org")
        with replica.places.replica_conf.open("a") as file:
            file.write("CVMFS_HTTP_RETRIES=0\n")
        left = iter([False] * 20 + [True])
        replica.before = lambda _: next(left, False) and stack.close()
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
            replica.snapshot()
    assert not (replica.places.storage / MANIFEST).exists()
    came = replica.objects()
    assert came
    replica.before = lambda _: None
    settings = replica.places.server_conf
    settings.write_text(settings.read_text().replace(f"{url}/sw.example.org", server.places.storage.as_uri()))
    replica.snapshot()
    assert not set(replica.asked) & came
    assert replica.faults() == []


def test_a_client_goes_from_the_stratum_0_to_the_replica_and_back(tmp_path: Path, server: Server) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        url0 = first.enter_context(serving([server.layout.served]))
        replica = Replica(tmp_path / "stratum1", server, f"{url0}/sw.example.org")
        replica.snapshot()
        url1 = stack.enter_context(serving([replica.layout.served]))
        request = AccessRequest(
            (f"{url0}/sw.example.org", f"{url1}/sw.example.org"),
            (server.places.keys.public,),
            tmp_path / "cache",
            clock=server.now,
        )
        access = stack.enter_context(Access(request))
        assert read(access, b"/0/7") == b"file 7\n"
        first.close()
        assert read(access, b"/1/8") == b"file 8\n"
        assert access.newer() is None
        (server.tree / "new").write_text("published while the stratum 0 was not seen\n")
        server.publish()
        settings = replica.places.server_conf
        settings.write_text(settings.read_text().replace(f"{url0}/sw.example.org", server.places.storage.as_uri()))
        replica.snapshot()
        newer = access.newer()
        assert newer is not None
        access.replace(newer).close()
        assert read(access, b"/new") == b"published while the stratum 0 was not seen\n"


def read(access: Access, path: bytes) -> bytes:
    with access.revision.content(path) as content:
        return content.pread(0, content.size)


def test_the_commands_of_a_replica(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path / "stratum1"))
    key = str(server.places.keys.public)
    with serving([server.layout.served]) as url:
        source = f"{url}/sw.example.org"
        assert main(["server", "add-replica", "-a", "-p", "-g", "hourly", source, key]) == 0
        assert "copy it     cvmfs_server snapshot sw.example.org" in capsys.readouterr().out
        assert main(["server", "snapshot", "-a", "-n", "-i", "-g", "hourly"]) == 0
        assert not (tmp_path / "stratum1/srv/cvmfs/sw.example.org/.cvmfspublished").exists()
        assert main(["server", "snapshot", "-a"]) == 2
        assert "use -n" in capsys.readouterr().err
        assert main(["server", "snapshot", "-a", "-n", "-g", "hourly"]) == 0
        log = (tmp_path / "stratum1/var/log/cvmfs/snapshots.log").read_text()
        assert "Starting sw.example.org at" in log
        assert "shows revision 2" in log
        assert main(["server", "snapshot"]) == 0
        assert "up to date at revision 2; 0 objects" in capsys.readouterr().out
    assert main(["server", "snapshot", "-a", "-n", "-s", "-g", "hourly"]) == 0
    assert "ERROR: sw.example.org: cannot get" in (tmp_path / "stratum1/var/log/cvmfs/sw.example.org.log").read_text()
    capsys.readouterr()
    assert main(["server", "info"]) == 0
    out = capsys.readouterr().out
    assert f"copy of:          sw.example.org at {source}" in out
    assert "trusted:          yes" in out
    assert main(["server", "list"]) == 0
    assert capsys.readouterr().out == "sw.example.org (stratum1 / local)\n"
    assert main(["server", "check", "-i"]) == 0
    assert main(["server", "publish", "sw.example.org"]) == 3
    assert "this is a replica" in capsys.readouterr().err
    assert main(["server", "renew", "--all"]) == 0
    assert main(["server", "gc", "-f"]) == 28
    assert "keeps every revision" in capsys.readouterr().err
    assert main(["server", "rmfs", "-f", "sw.example.org"]) == 0
    assert not (tmp_path / "stratum1/srv/cvmfs/sw.example.org").exists()


def test_a_pass_through_repository_stores_nothing(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path / "stratum1"))
    source = server.places.storage.as_uri()
    assert main(["server", "add-replica", "-P", "-z", source]) == 2
    assert main(["server", "add-replica", "-P", source]) == 0
    assert main(["server", "snapshot", "-a", "-n"]) == 0
    capsys.readouterr()
    assert main(["server", "snapshot", "sw.example.org"]) == 2
    assert "nothing is copied" in capsys.readouterr().err
    assert not (tmp_path / "stratum1/srv/cvmfs/sw.example.org").exists()
