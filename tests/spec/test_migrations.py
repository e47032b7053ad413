"""Every catalog changed at once, and what a repository does by itself after publications."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from swrepo.cli.cvmfs_server import main as cvmfs_server
from swrepo.config import moments
from swrepo.config.owner_map import OwnerMap
from swrepo.errors import UsageError
from swrepo.repository.walk import walk
from swrepo.upkeep.automatic import collect_if_due
from swrepo.upkeep.check import RepositoryCheck, Scope
from swrepo.upkeep.migrations import change_owners, eliminate_hardlinks, fix_counters
from swrepo.upkeep.opening import Keeper
from tests.golden import CLOCK, golden
from tests.publishing import Server, fast_options
from tests.spec.test_check import damage
from tests.taking_over import StandingClock, current, taken_over


def faults(keeper: Keeper, fqrn: str) -> list[str]:
    found: list[str] = []
    RepositoryCheck(keeper, Scope(integrity=True), lambda path, what: found.append(f"{path!r}: {what}")).run(fqrn)
    return found


@pytest.fixture
def server(tmp_path: Path) -> Server:
    server = Server(tmp_path, fast_options(auto_tag=False, garbage_collectable=True))
    for directory in ("one", "two"):
        (server.tree / directory).mkdir()
        (server.tree / directory / ".cvmfscatalog").touch()
        (server.tree / directory / "file").write_text(directory)
    os.link(server.tree / "one/file", server.tree / "one/link")
    server.publish()
    return server


def keeper(server: Server) -> Keeper:
    server.clock.ns += 60 * 10**9
    return Keeper(server.layout, server.clock.nanoseconds)


def test_owners_change_everywhere_at_once_and_none_twice(server: Server) -> None:
    me, before = os.getuid(), server.objects()
    done = change_owners(keeper(server), server.fqrn, OwnerMap({me: 4001, 4001: 4002}), OwnerMap(others=77))
    assert done.catalogs == 3
    with server.revision() as revision:
        assert {(entry.uid, entry.gid) for _, entry in walk(revision)} == {(4001, 77)}
        assert revision.number == done.revision == 3
    assert server.tags()["trunk-previous"].revision == 2
    assert faults(keeper(server), server.fqrn) == []
    assert {one.kind for one in server.objects() - before} == {"C", "H"}


def test_a_change_that_changes_nothing_makes_no_revision(server: Server) -> None:
    before = server.manifest()
    for done in (
        change_owners(keeper(server), server.fqrn, OwnerMap({12345: 1}), OwnerMap()),
        fix_counters(keeper(server), server.fqrn),
    ):
        assert (done.revision, done.catalogs) == (2, 0)
    assert server.manifest() == before


def test_only_catalogs_with_a_change_below_them_are_written(server: Server) -> None:
    with server.revision() as revision:
        untouched = revision.tree.mounted(b"/two")
    done = eliminate_hardlinks(keeper(server), server.fqrn)
    assert (done.rows, done.catalogs) == (2, 2)
    with server.revision() as revision:
        assert revision.tree.mounted(b"/two") == untouched
        assert revision.lookup(b"/one/file").linkcount == 1
        assert revision.inode(b"/one/file") != revision.inode(b"/one/link")
    assert faults(keeper(server), server.fqrn) == []


def test_wrong_counters_become_right(server: Server) -> None:
    damage(server, "UPDATE statistics SET value = 5 WHERE counter = 'self_regular'", mountpoint=b"/one")
    assert len(faults(keeper(server), server.fqrn)) > 0
    assert fix_counters(keeper(server), server.fqrn).catalogs == 2
    assert faults(keeper(server), server.fqrn) == []


def test_whole_file_copies_of_chunked_files_are_forgotten(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (server.tree / "big").write_bytes(os.urandom(100_000))
    (server.tree / "small").write_text("as a whole")
    server.publish()
    damage(server, "UPDATE catalog SET hash = (SELECT hash FROM catalog WHERE name = 'small') WHERE name = 'big'")
    monkeypatch.setenv("SWREPO_PREFIX", str(server.layout.prefix))
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert cvmfs_server(["eliminate-bulk-hashes", server.fqrn]) == 1
    assert cvmfs_server(["eliminate-bulk-hashes", "-f", server.fqrn]) == 0
    assert "1 rows changed, 1 catalogs written" in capsys.readouterr().out
    assert cvmfs_server(["eliminate-bulk-hashes", "-f", server.fqrn]) == 0
    assert "nothing to change" in capsys.readouterr().out
    assert faults(keeper(server), server.fqrn) == []
    server.check()


def test_golden_hard_links_are_eliminated(tmp_path: Path) -> None:
    repository = golden("hardlinks")
    layout = taken_over(repository, tmp_path)
    keeper = Keeper(layout, StandingClock(CLOCK))
    revision = current(layout.repository(repository.fqrn)).revision
    assert eliminate_hardlinks(keeper, repository.fqrn).revision == revision + 1
    assert faults(keeper, repository.fqrn) == []


def test_old_revisions_go_by_themselves_but_not_more_often_than_wanted(server: Server, tmp_path: Path) -> None:
    conf, log = server.places.server_conf, tmp_path / "deleted"
    text = f"{conf.read_text()}CVMFS_AUTO_GC=true\n"
    conf.write_text(
        f"{text}CVMFS_AUTO_GC_TIMESPAN='3 hours ago'\nCVMFS_AUTO_GC_LAPSE='2 hours ago'\nCVMFS_GC_DELETION_LOG={log}\n"
    )
    removed = []
    for number in range(8):
        (server.tree / "file").write_text(str(number))
        server.publish()
        found = collect_if_due(keeper(server), server.fqrn)
        removed.append(None if found is None else found.swept_revisions)
    assert removed[0] == 0
    assert removed.count(None) == 4
    assert sum(count or 0 for count in removed) > 2
    assert len(log.read_text().split()) > 5
    assert faults(keeper(server), server.fqrn) == []


def test_nothing_goes_by_itself_where_nobody_asked_for_it(server: Server) -> None:
    assert collect_if_due(keeper(server), server.fqrn) is None


def test_catalogs_are_listed_as_the_original_lists_them(server: Server, monkeypatch, capsys) -> None:
    monkeypatch.setenv("SWREPO_PREFIX", str(server.layout.prefix))
    assert cvmfs_server(["list-catalogs", "-e", server.fqrn]) == 0
    assert capsys.readouterr().out.splitlines() == ["3 /", "├─ 4 /one", "├─ 3 /two"]
    assert cvmfs_server(["list-catalogs", "-x", "-h", "-s", server.fqrn]) == 0
    name, size, path = capsys.readouterr().out.splitlines()[0].split()
    assert (name, path) == (server.manifest().root_catalog.text, "/")
    assert size == f"{server.manifest().root_size}B"
    (server.layout.prefix / "map").write_text("# all\n* 99\n")
    assert cvmfs_server(["catalog-chown", "-u", str(server.layout.prefix / "map"), server.fqrn]) == 0
    assert "3 catalogs written" in capsys.readouterr().out
    assert cvmfs_server(["eliminate-hardlinks", "-f", server.fqrn]) == 0
    assert cvmfs_server(["fix-stats", "-f", server.fqrn]) == 0
    assert "nothing to change" in capsys.readouterr().out


def test_moments_are_read_as_people_write_them() -> None:
    def shown(text: str) -> str:
        return moments.parse(text, CLOCK).isoformat()

    assert shown("3 days ago") == "2026-11-22T12:00:00+00:00"
    assert shown("yesterday") == "2026-11-24T12:00:00+00:00"
    assert shown("an hour ago") == "2026-11-25T11:00:00+00:00"
    assert shown("2026-11-22 20:36") == "2026-11-22T20:36:00+00:00"
    assert shown("2026-11-22T20:36:00+01:00") == "2026-11-22T20:36:00+01:00"
    assert shown("@0") == "1970-01-01T00:00:00+00:00"
    for wrong in ("", "soon", "3 moons ago", "@", "2026-13-01", "999999999 years ago"):
        with pytest.raises(UsageError):
            shown(wrong)
