"""Names for revisions, ways back, and branches: what `cvmfs_server tag | rollback | checkout | diff` rest on."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest

from swrepo.cli.cvmfs_server import main as cvmfs_server
from swrepo.cli.tagging import branch_lines
from swrepo.errors import InTransaction, NotFound, UsageError
from swrepo.format.object_id import Kind, ObjectId
from swrepo.objects.directory import DirectoryObjects
from swrepo.publish.plain import PlainObjects
from swrepo.repository.history import Branch, HistoryFile, HistoryWriter, Tag, open_history
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk
from swrepo.upkeep.branching import back_to_trunk, check_out
from swrepo.upkeep.check import RepositoryCheck, Scope
from swrepo.upkeep.comparing import compare
from swrepo.upkeep.opening import Keeper
from swrepo.upkeep.rollback import roll_back
from swrepo.upkeep.tags import Tags
from tests.golden import CLOCK, Row, golden, read_manifest
from tests.publishing import Server, fast_options
from tests.taking_over import StandingClock, taken_over


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """Revisions 2, 3 and 4, of which 2 and 3 have tags."""
    server = Server(tmp_path, fast_options(auto_tag=False, garbage_collectable=True))
    for number in (2, 3, 4):
        (server.tree / "file").write_text(f"revision {number}")
        (server.tree / f"only-{number}").touch()
        if number > 2:
            (server.tree / f"only-{number - 1}").unlink()
        server.publish(f"v{number}" if number < 4 else "")
    return server


def keeper(server: Server) -> Keeper:
    server.clock.ns += 60 * 10**9
    return Keeper(server.layout, server.clock.nanoseconds)


def names(server: Server, tag: Tag) -> set[bytes]:
    manifest = dataclasses.replace(server.manifest(), root_catalog=tag.root, root_size=tag.size)
    with server.revision(manifest) as revision:
        return {path for path, _ in walk(revision)} - {b""}


def check(server: Server) -> None:
    faults: list[str] = []
    RepositoryCheck(keeper(server), Scope(integrity=True), lambda path, what: faults.append(f"{path!r} {what}")).run(
        server.fqrn
    )
    assert faults == []


def test_a_tag_names_the_newest_revision_one_by_number_or_one_by_hash(server: Server) -> None:
    tags, before = Tags(keeper(server)), server.manifest()
    tags.add(server.fqrn, "newest", "as it is")
    tags.add(server.fqrn, "second", revision=2)
    tags.add(server.fqrn, "third", root=server.tags()["v3"].root)
    found = server.tags()
    assert (found["newest"].revision, found["newest"].description) == (4, "as it is")
    assert found["second"].root == found["v2"].root
    assert found["third"].size == found["v3"].size
    after = server.manifest()
    assert (after.root_catalog, after.revision, after.timestamp) == (before.root_catalog, 4, before.timestamp)
    check(server)


def test_a_tag_moves_only_where_it_is_told_where_to(server: Server) -> None:
    tags = Tags(keeper(server))
    tags.add(server.fqrn, "name", "about it")
    with pytest.raises(UsageError, match="is taken by revision 4; -h HASH moves it"):
        tags.add(server.fqrn, "name")
    tags.add(server.fqrn, "name", revision=3)
    moved = server.tags()["name"]
    assert (moved.revision, moved.description) == (3, "about it")
    with pytest.raises(UsageError, match="already"):
        tags.add(server.fqrn, "name", revision=3)


@pytest.mark.parametrize("name", ["trunk", "trunk-previous", "", "two words"])
def test_some_names_cannot_be_given(server: Server, name: str) -> None:
    with pytest.raises(UsageError):
        Tags(keeper(server)).add(server.fqrn, name)


def test_a_revision_that_is_not_there_cannot_be_named(server: Server) -> None:
    with pytest.raises(NotFound, match="no revision 17"):
        Tags(keeper(server)).add(server.fqrn, "name", revision=17)
    with pytest.raises(NotFound, match="no revision with the root catalog"):
        Tags(keeper(server)).add(server.fqrn, "name", root=ObjectId.of(b"", kind=Kind.CATALOG))


def test_tags_are_removed_all_or_none(server: Server) -> None:
    tags, before = Tags(keeper(server)), server.tags()
    with pytest.raises(NotFound, match="nothing was removed"):
        tags.remove(server.fqrn, ["v2", "nothing"])
    with pytest.raises(UsageError, match="kept by publications"):
        tags.remove(server.fqrn, ["trunk"])
    assert server.tags() == before
    assert [tag.name for tag in tags.remove(server.fqrn, ["v2", "v3"])] == ["v2", "v3"]
    assert server.tags().keys() == {"trunk", "trunk-previous"}


def test_a_rollback_publishes_the_old_revision_again_and_removes_the_tags_after_it(server: Server) -> None:
    Tags(keeper(server)).add(server.fqrn, "v4")
    before = server.manifest()
    done = roll_back(keeper(server), server.fqrn, "v2")
    after, tags = server.manifest(), server.tags()
    assert (done.revision, done.target.revision, [tag.name for tag in done.removed]) == (5, 2, ["v3", "v4"])
    assert after.revision == 5
    assert (after.timestamp or 0) > (before.timestamp or 0)
    assert tags.keys() == {"trunk", "v2"}
    assert tags["trunk"].root == tags["v2"].root == after.root_catalog
    assert names(server, tags["v2"]) == {b"/file", b"/only-2"}
    with server.revision() as revision:
        assert revision.number == 5
        assert revision.tree.root.previous_revision == before.root_catalog
    check(server)


def test_a_rollback_without_a_name_undoes_the_last_publication_and_only_that(server: Server) -> None:
    roll_back(keeper(server), server.fqrn)
    assert names(server, server.tags()["trunk"]) == {b"/file", b"/only-3"}
    with pytest.raises(NotFound, match="only once in a row"):
        roll_back(keeper(server), server.fqrn)
    with pytest.raises(NotFound, match="no tag nothing"):
        roll_back(keeper(server), server.fqrn, "nothing")
    server.publish()
    assert names(server, server.tags()["trunk"]) == {b"/file", b"/only-4"}
    server.check()


def test_nothing_rolls_back_to_the_newest_revision(server: Server) -> None:
    Tags(keeper(server)).add(server.fqrn, "v4")
    with pytest.raises(UsageError, match="nothing to roll back"):
        roll_back(keeper(server), server.fqrn, "v4")


def test_a_branch_goes_on_from_an_old_revision_and_clients_see_nothing_of_it(server: Server) -> None:
    before = server.manifest()
    assert check_out(keeper(server), server.fqrn, "fixes", "v2").parent == ""
    (server.tree / "fixed").touch()
    with pytest.raises(UsageError, match="each revision needs a tag"):
        server.publish()
    outcome = server.publish("v2.1")
    assert outcome.revision == 3
    after, tag = server.manifest(), server.tags()["v2.1"]
    assert (after.root_catalog, after.revision) == (before.root_catalog, before.revision)
    assert (tag.branch, tag.revision) == ("fixes", 3)
    assert names(server, tag) == {b"/file", b"/only-4", b"/fixed"}  # what stands in the work tree
    check_out(keeper(server), server.fqrn, "fixes")
    (server.tree / "fixed").unlink()
    assert server.publish("v2.2").revision == 4
    assert server.publish().revision == 5  # on the default branch again
    server.check()
    check(server)


def test_the_same_branch_as_golden_history_has(server: Server) -> None:
    check_out(keeper(server), server.fqrn, "fixes", "v2")
    server.publish("v2.1")
    with keeper(server).open(server.fqrn, "reading") as repository:
        assert repository.manifest.history is not None
        history = open_history(repository.manifest.history, repository.objects)
        branches = history.branches()
        history.close()
    assert branches == (Branch("", None, 0), Branch("fixes", "", 3))
    assert list(branch_lines(branches, machine=True)) == ["[0] (default) @0", "[1]  fixes @3"]


def test_while_a_branch_is_checked_out_only_publishing_goes_on(server: Server) -> None:
    check_out(keeper(server), server.fqrn, "fixes", "v2")
    with pytest.raises(UsageError, match="checked out to the branch fixes"):
        Tags(keeper(server)).add(server.fqrn, "name")
    with pytest.raises(UsageError, match="checked out to the branch fixes"):
        roll_back(keeper(server), server.fqrn)
    back_to_trunk(keeper(server), server.fqrn)
    Tags(keeper(server)).add(server.fqrn, "name")


def test_while_a_transaction_is_open_nothing_moves_under_it(server: Server) -> None:
    flag = server.places.spool / "in_transaction"
    flag.touch()
    for attempt in (
        lambda: Tags(keeper(server)).add(server.fqrn, "name"),
        lambda: Tags(keeper(server)).remove(server.fqrn, ["v2"]),
        lambda: roll_back(keeper(server), server.fqrn),
        lambda: check_out(keeper(server), server.fqrn, "fixes", "v2"),
    ):
        with pytest.raises(InTransaction):
            attempt()
    flag.unlink()
    Tags(keeper(server)).add(server.fqrn, "name")


def test_branches_begin_at_tags_and_go_on_at_their_ends(server: Server) -> None:
    with pytest.raises(NotFound, match="no branch fixes"):
        check_out(keeper(server), server.fqrn, "fixes")
    with pytest.raises(NotFound, match="no tag nothing"):
        check_out(keeper(server), server.fqrn, "fixes", "nothing")
    with pytest.raises(UsageError, match="cannot be the name"):
        check_out(keeper(server), server.fqrn, "two words", "v2")
    check_out(keeper(server), server.fqrn, "fixes", "v2")
    server.publish("v2.1")
    with pytest.raises(UsageError, match="exists"):
        check_out(keeper(server), server.fqrn, "fixes", "v3")


def test_a_branch_goes_with_its_last_tag_and_its_own_branches_move_up(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path / "history", "sw.example.org")
    root = ObjectId.of(b"", kind=Kind.CATALOG)
    writer.add_branch(Branch("a", "", 2))
    writer.add_branch(Branch("b", "a", 3))
    writer.add(Tag("x", root, 1, 3, 0, "", "b"))
    writer.prune_branches()
    writer.finish()
    history = HistoryFile.open(tmp_path / "history")
    assert history.branches() == (Branch("", None, 0), Branch("b", "", 3))
    history.close()


def test_old_automatic_tags_go_with_the_next_publication(tmp_path: Path) -> None:
    server = Server(tmp_path, fast_options())
    conf = server.places.server_conf
    conf.write_text(conf.read_text().replace("CVMFS_AUTO_TAG_TIMESPAN=''", "CVMFS_AUTO_TAG_TIMESPAN='90 minutes ago'"))
    for number in range(4):
        (server.tree / "file").write_text(str(number))
        server.publish("mine" if number == 0 else "")
    automatic = [tag.revision for tag in server.tags().values() if tag.name.startswith("generic-")]
    assert sorted(automatic) == [4, 5]
    assert "mine" in server.tags()


def test_revisions_are_compared_by_tag_hash_and_date(server: Server) -> None:
    tag = server.tags()["v2"]
    moment = datetime.fromtimestamp(tag.timestamp + 60, UTC).isoformat()
    for old in ("v2", f"@{tag.root.text}", moment):
        with compare(server.layout, server.fqrn, old, "v3") as found:
            assert [change.path for change in found.differences()] == [b"", b"/file", b"/only-2", b"/only-3"]
            assert found.counters().entries == 0
    with pytest.raises(NotFound, match="no revision nothing"), compare(server.layout, server.fqrn, "nothing", "v3"):
        pass


def rows_of(server_layout, fqrn: str, tag: Tag, tmp_path: Path) -> dict[bytes, tuple[str, int, int]]:
    objects = PlainObjects(DirectoryObjects(server_layout.repository(fqrn).storage), tmp_path)
    with Revision(tag.root, objects, tag.size) as revision:
        return {path or b"/": (oct(entry.mode & 0o7777), entry.size, entry.mtime) for path, entry in walk(revision)}


def shown(rows: list[Row]) -> dict[bytes, tuple[str, int, int]]:
    return {row.path: (oct(row.mode), row.size, int(row.mtime.split(".")[0])) for row in rows}


def test_golden_history_rolls_back_as_it_did(tmp_path: Path) -> None:
    repository = golden("history")
    layout = taken_over(repository, tmp_path, repository.served_before("rollback"))
    clock = StandingClock(CLOCK)
    done = roll_back(Keeper(layout, clock), repository.fqrn, "v3")
    assert (done.revision, [tag.name for tag in done.removed]) == (8, ["v4-bad"])
    with compare(layout, repository.fqrn, "v3", "trunk") as found:
        assert list(found.differences()) == []
        tag = found.new_tag
    ours = rows_of(layout, repository.fqrn, tag, tmp_path)
    theirs = shown(read_manifest(repository.path / "tags/v3.tsv"))
    assert {path: row for path, row in ours.items() if path != b"/"} == {
        path: row for path, row in theirs.items() if path != b"/"
    }


def test_the_commands_speak_as_the_original_does(server: Server, monkeypatch, capsys) -> None:
    monkeypatch.setenv("SWREPO_PREFIX", str(server.layout.prefix))
    root = server.manifest().root_catalog.text
    assert cvmfs_server(["tag", "-a", "v4", "-m", "two words", server.fqrn]) == 0
    capsys.readouterr()
    assert cvmfs_server(["tag", "-i", "v4", "-x", server.fqrn]) == 0
    name, found, _size, revision, _time, branch, *words = capsys.readouterr().out.split()
    assert (name, found, revision, branch, words) == ("v4", root, "4", "(default)", ["two", "words"])
    assert cvmfs_server(["lstags", server.fqrn]) == 0
    assert "v4" in capsys.readouterr().out
    assert cvmfs_server(["diff", "-m", "-s", "v3", "-d", "v4", server.fqrn]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["S F 0", "S S 0", "S D 0", "S N 0"]
    assert "A F /only-4 +0" in lines
    assert "R F /only-3 -0" in lines
    assert any(line.startswith("M[") and line.endswith("] F /file") for line in lines)
    assert cvmfs_server(["tag", "-a", "x", "-r", "y", server.fqrn]) == UsageError.exit_code
    assert cvmfs_server(["tag", "-r", "v4", "-f", server.fqrn]) == 0
    assert cvmfs_server(["rollback", "-f", "-t", "v2", server.fqrn]) == 0
    assert cvmfs_server(["tag", "-b", "-x", server.fqrn]) == 0
    assert capsys.readouterr().out.endswith("[0] (default) @0\n")
    assert cvmfs_server(["checkout", "-t", "v2", "-b", "fixes", server.fqrn]) == 0
    assert "onto new branch fixes" in capsys.readouterr().out
    assert cvmfs_server(["checkout", server.fqrn]) == 0
    assert cvmfs_server(["check", "-i", server.fqrn]) == 0
    assert cvmfs_server(["gc", "-r", "0", "-f", server.fqrn]) == 0
