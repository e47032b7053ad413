"""A collection removes what no kept revision reaches, and nothing else, whenever it is stopped."""

from __future__ import annotations

import dataclasses
import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from swrepo.errors import Busy, PublishError
from swrepo.format.object_id import Kind, ObjectId
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.storage import Storage, in_directory
from swrepo.repository.walk import walk
from swrepo.system.lock import exclusive
from swrepo.upkeep.check import RepositoryCheck, Scope
from swrepo.upkeep.garbage import Collected, Collection, Keep
from swrepo.upkeep.opening import Keeper
from tests.golden import CLOCK, golden
from tests.publishing import Server, fast_options
from tests.spec.test_publish_crash import Fragile, Fuse, PowerCut
from tests.taking_over import StandingClock, current, objects, taken_over

NEWEST = Keep(revisions=0)


def keeper(server: Server) -> Keeper:
    return Keeper(server.layout, server.clock.nanoseconds)


def collect(server: Server, keep: Keep = NEWEST, **changes: object) -> Collected:
    return dataclasses.replace(Collection(keeper(server), keep), **changes).run(server.fqrn)


def faults(server: Server) -> list[str]:
    found: list[str] = []
    RepositoryCheck(keeper(server), Scope(integrity=True), lambda path, what: found.append(f"{path!r}: {what}")).run(
        server.fqrn
    )
    return found


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """Four revisions: each has a file of its own and one that all share; the second has a tag."""
    server = Server(tmp_path, fast_options(garbage_collectable=True, auto_tag=False))
    (server.tree / "nested").mkdir()
    (server.tree / "nested/.cvmfscatalog").touch()
    (server.tree / "shared").write_text("the same in all")
    for number in range(1, 5):
        for name in ("own", "nested/own"):
            (server.tree / name).write_text(f"{name} of revision {number}")
        server.publish("kept" if number == 2 else "")
    return server


def test_the_newest_revision_and_those_with_tags_are_kept_and_nothing_else(server: Server) -> None:
    before = server.objects()
    found = collect(server)
    assert faults(server) == []
    server.check()
    tag = server.tags()["kept"]
    with server.revision(dataclasses.replace(server.manifest(), root_catalog=tag.root, root_size=tag.size)) as old:
        assert {path for path, _ in walk(old)} >= {b"/own", b"/nested/own", b"/shared"}
        with old.content(b"/own") as content:
            assert content.pread(0, 100) == b"own of revision 2"
    gone = before - server.objects()
    assert {one.kind for one in gone} == {Kind.FILE, Kind.CATALOG, Kind.HISTORY}
    assert found.objects == len(gone)
    assert found.size > 0


def test_what_is_left_is_what_the_kept_revisions_reach(server: Server) -> None:
    collect(server)
    assert collect(server).objects == 0
    files = [one for one in server.objects() if one.kind is Kind.FILE]
    # shared, the empty marker, two files of each of: the newest, trunk-previous, the tagged one
    assert len(files) == 2 + 2 * 3


def test_revisions_are_kept_by_number(server: Server) -> None:
    before = server.objects()
    assert collect(server, Keep(revisions=3)).swept_revisions == 1  # the empty one of the creation
    assert faults(server) == []
    assert collect(server, Keep(revisions=100)).objects == 0
    assert server.objects() < before


def test_the_last_revision_before_the_time_is_kept_too(server: Server) -> None:
    newest = server.manifest().timestamp or 0
    assert collect(server, Keep(since=newest - 2 * 3600), dry_run=True).swept_revisions == 1
    assert collect(server, Keep(since=newest - 2 * 3600 + 1), dry_run=True).swept_revisions == 2
    assert collect(server, Keep(since=newest - 3 * 3600), dry_run=True).swept_revisions == 0


def test_a_dry_run_names_what_would_go_and_removes_nothing(server: Server) -> None:
    before, status = server.objects(), server.places.storage / ".cvmfs_status.json"
    named: list[ObjectId] = []
    found = collect(server, dry_run=True, deleted=named.append)
    assert server.objects() == before
    assert not status.exists()
    collect(server)
    assert before - server.objects() == set(named)
    assert found.objects == len(named)
    assert json.loads(status.read_text()).keys() == {"last_gc"}


def test_a_collection_that_is_cut_off_anywhere_leaves_all_that_is_kept_and_the_next_one_ends_it(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path / "server", fast_options(garbage_collectable=True, auto_tag=False))
    for number in range(2):
        (server.tree / "file").write_text(f"revision {number}")
        server.publish()
    shutil.copytree(server.places.storage, tmp_path / "backup")
    expected: set[ObjectId] | None = None
    for at in range(60):
        shutil.rmtree(server.places.storage)
        shutil.copytree(tmp_path / "backup", server.places.storage)
        fuse = Fuse(at, before=False)

        def open_storage(places: RepositoryPlaces, fuse: Fuse = fuse) -> Storage:
            storage = in_directory(places)
            return dataclasses.replace(
                storage, store=Breaking(storage.store, fuse), documents=Fragile(storage.documents, fuse)
            )

        broken = dataclasses.replace(keeper(server), open_storage=open_storage)
        with suppress(PowerCut):
            Collection(broken, Keep(revisions=0)).run(server.fqrn)
        assert faults(server) == []
        collect(server)
        assert faults(server) == []
        contents = {one for one in server.objects() if one.kind is not Kind.HISTORY}
        assert expected in (None, contents)
        expected = contents
        if not fuse.is_blown:
            assert at > 4
            return
    pytest.fail("it never came to its end")


class Breaking(Fragile):
    """Each `delete` counts too."""

    def __getattr__(self, name: str) -> object:
        if name == "delete":
            return lambda *arguments: self._fuse.guard(self._inner.delete, *arguments)
        return super().__getattr__(name)


def test_a_repository_that_is_not_collectable_is_refused(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with pytest.raises(PublishError, match="not garbage collectable"):
        collect(server)


def test_a_damaged_tag_stops_the_collection_before_anything_goes(server: Server) -> None:
    root = server.tags()["kept"].root
    (server.places.storage / root.path).unlink()
    before = server.objects()
    with pytest.raises(PublishError, match="the tag kept is not whole"):
        collect(server)
    assert server.objects() == before


def test_publications_and_collections_keep_out_of_each_others_way(server: Server) -> None:
    with exclusive(server.places.lock, "publishing sw.example.org"), pytest.raises(Busy, match="publishing"):
        collect(server)


def test_what_was_prepared_for_a_publication_is_stored_again_when_it_went(server: Server) -> None:
    (server.tree / "own").write_text("own of revision 1")
    server.publisher().sync(server.fqrn)
    collect(server)
    server.publish()
    server.check()
    assert faults(server) == []


def test_golden_history_keeps_the_objects_that_the_original_kept(tmp_path: Path) -> None:
    repository = golden("history")
    layout = taken_over(repository, tmp_path, repository.served_before("gc"))
    places = layout.repository(repository.fqrn)
    named: list[ObjectId] = []
    clock = StandingClock(CLOCK)
    Collection(Keeper(layout, clock), Keep(revisions=0), deleted=named.append).run(repository.fqrn)
    theirs = [line for line in (repository.path / "gc-deleted.txt").read_text().split() if len(line) > 30]
    assert sorted(name.name for name in named) == sorted(theirs)
    expected = {path.parent.name + path.name for path in (repository.served / "data").glob("??/*")}
    assert objects(places) == expected
    assert current(places).root_catalog.text.startswith("1c2049a3")
