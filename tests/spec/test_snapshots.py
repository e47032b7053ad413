"""`/.cvmfs/snapshots` shows each tag as it was, and what comes and goes with the tags comes and goes there."""

from __future__ import annotations

from pathlib import Path

import pytest

from swrepo.cli.cvmfs_server import main as cvmfs_server
from swrepo.repository.walk import walk
from swrepo.upkeep.check import RepositoryCheck, Scope
from swrepo.upkeep.garbage import Collection, Keep
from swrepo.upkeep.opening import Keeper
from swrepo.upkeep.snapshots import refresh
from swrepo.upkeep.tags import Tags
from tests.publishing import Server, fast_options


@pytest.fixture
def server(tmp_path: Path) -> Server:
    server = Server(tmp_path, fast_options(auto_tag=False, garbage_collectable=True))
    switch(server, wanted=True)
    (server.tree / "dir").mkdir()
    for number in (1, 2):
        (server.tree / "dir/file").write_text(f"revision {number}")
        server.publish(f"v{number}")
    return server


def switch(server: Server, *, wanted: bool) -> None:
    conf = server.places.server_conf
    lines = [line for line in conf.read_text().splitlines() if "VIRTUAL_DIR" not in line]
    conf.write_text("\n".join([*lines, f"CVMFS_VIRTUAL_DIR={'true' if wanted else 'false'}\n"]))


def keeper(server: Server) -> Keeper:
    server.clock.ns += 60 * 10**9
    return Keeper(server.layout, server.clock.nanoseconds)


def faults(server: Server) -> list[str]:
    found: list[str] = []
    RepositoryCheck(keeper(server), Scope(integrity=True), lambda path, what: found.append(f"{path!r}: {what}")).run(
        server.fqrn
    )
    return found


def snapshots(server: Server) -> list[bytes]:
    with server.revision() as revision:
        if revision.find(b"/.cvmfs") is None:
            return []
        return sorted(entry.name for entry in revision.listing(b"/.cvmfs/snapshots"))


def content(server: Server, path: bytes) -> bytes:
    with server.revision() as revision, revision.content(path) as file:
        return file.pread(0, 100)


def test_each_tag_is_a_directory_that_nobody_lists(server: Server) -> None:
    assert refresh(keeper(server), server.fqrn) == 4
    assert snapshots(server) == [b"v1", b"v2"]
    assert content(server, b"/.cvmfs/snapshots/v1/dir/file") == b"revision 1"
    assert content(server, b"/.cvmfs/snapshots/v2/dir/file") == b"revision 2"
    with server.revision() as revision:
        assert {path for path, _ in walk(revision)} == {b"", b"/dir", b"/dir/file"}
        assert revision.lookup(b"/.cvmfs").mode == 0o40555
    assert refresh(keeper(server), server.fqrn) is None
    assert faults(server) == []
    assert server.tags()["trunk-previous"].revision == 2


def test_publications_leave_the_snapshots_and_see_no_change_in_them(server: Server) -> None:
    refresh(keeper(server), server.fqrn)
    assert not server.publish().published
    (server.tree / "more").mkdir()
    server.publish("v3")
    assert faults(server) == []
    refresh(keeper(server), server.fqrn)
    assert snapshots(server) == [b"v1", b"v2", b"v3"]
    assert content(server, b"/.cvmfs/snapshots/v3/.cvmfs/snapshots/v1/dir/file") == b"revision 1"
    assert not server.publish().published
    assert faults(server) == []


def test_snapshots_go_with_their_tags_and_all_of_them_with_the_setting(server: Server) -> None:
    refresh(keeper(server), server.fqrn)
    Tags(keeper(server)).remove(server.fqrn, ["v1"])
    refresh(keeper(server), server.fqrn)
    assert snapshots(server) == [b"v2"]
    switch(server, wanted=False)
    refresh(keeper(server), server.fqrn)
    assert snapshots(server) == []
    assert refresh(keeper(server), server.fqrn) is None
    assert faults(server) == []
    assert not server.publish().published


def test_a_collection_keeps_what_snapshots_show(server: Server) -> None:
    refresh(keeper(server), server.fqrn)
    (server.tree / "dir/file").write_text("revision 3")
    server.publish()
    Collection(keeper(server), Keep(revisions=0)).run(server.fqrn)
    assert content(server, b"/.cvmfs/snapshots/v1/dir/file") == b"revision 1"
    assert faults(server) == []


def test_the_commands_keep_the_snapshots_up_to_date(server: Server, monkeypatch, capsys) -> None:
    monkeypatch.setenv("SWREPO_PREFIX", str(server.layout.prefix))
    assert cvmfs_server(["tag", "-a", "name", server.fqrn]) == 0
    assert "shows the tags in .cvmfs/snapshots" in capsys.readouterr().out
    assert snapshots(server) == [b"name", b"v1", b"v2"]
    assert cvmfs_server(["rollback", "-t", "v1", "-f", server.fqrn]) == 0
    assert snapshots(server) == [b"v1"]
    assert cvmfs_server(["check", "-i", server.fqrn]) == 0
