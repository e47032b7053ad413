"""A check finds no fault in what is right, and names each kind of damage."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
from pathlib import Path

import pytest

from swrepo.catalog.nested import NestedRef
from swrepo.errors import NotFound
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.wellknown import MANIFEST, REFLOG
from swrepo.objects.store import Want
from swrepo.repository.history import HistoryWriter
from swrepo.repository.reflog import ReflogFile, ReflogWriter
from swrepo.upkeep import published_status
from swrepo.upkeep.check import Checked, RepositoryCheck, Scope
from swrepo.upkeep.opening import Keeper
from swrepo.upkeep.reflog_repair import repair
from tests.golden import CLOCK, NAMES, golden
from tests.publishing import Server, fast_options
from tests.taking_over import StandingClock, taken_over


def check(server: Server, scope: Scope = Scope()) -> list[str]:  # noqa: B008 - frozen
    found: list[str] = []
    keeper = Keeper(server.layout, server.clock.nanoseconds)
    counted = RepositoryCheck(keeper, scope, lambda path, what: found.append(f"{path.decode()}: {what}")).run(
        server.fqrn
    )
    assert counted.faults == len(found)
    return found


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Server:
    server = Server(tmp_path_factory.mktemp("server"), fast_options(auto_tag=False))
    tree = server.tree
    (tree / "dir/nested").mkdir(parents=True)
    (tree / "dir/nested/.cvmfscatalog").touch()
    (tree / "dir/nested/inner").write_text("in the nested catalog")
    (tree / "file").write_text("some content")
    (tree / "large").write_bytes(os.urandom(300_000))
    os.symlink("file", tree / "link")
    os.link(tree / "file", tree / "other")
    os.mkfifo(tree / "fifo")
    server.publish("first")
    return server


@pytest.fixture
def server(pristine: Server) -> Server:
    """With the state of the beginning; whatever a test adds can stay, for objects never change."""
    signed, log = (pristine.places.storage / name for name in (MANIFEST, REFLOG))
    kept = {path: path.read_bytes() for path in (signed, log, pristine.places.reflog_checksum)}
    yield pristine
    for path, data in kept.items():
        path.write_bytes(data)


def stored(server: Server, name: ObjectId) -> Path:
    return server.places.storage / name.path


def damage(server: Server, *statements: str, mountpoint: bytes = b"") -> None:
    """Change a catalog by SQL and sign what comes out, as a broken publisher would."""
    keeper = Keeper(server.layout, server.clock.nanoseconds)
    with keeper.open(server.fqrn, "damaging") as repository:
        manifest, sealer = repository.manifest, keeper.sealer(repository)

        def changed(name: ObjectId, statements: tuple[str, ...]) -> NestedRef:
            file = repository.places.scratch / "damaged.db"
            with open(repository.objects.open(Want(name)), "rb") as plain:
                file.write_bytes(plain.read())
            database = sqlite3.connect(file)
            for statement in statements:
                database.execute(statement)
            database.commit()
            database.close()
            length = file.stat().st_size
            return NestedRef(mountpoint, sealer.save_file(file, Kind.CATALOG), length)

        if mountpoint:
            with server.revision(manifest) as revision:
                nested = next(ref for ref in revision.tree.root.nested() if ref.path == mountpoint)
            lower = changed(nested.id, statements)
            where = f"WHERE path = '{mountpoint.decode()}'"
            root = changed(
                manifest.root_catalog,
                (f"UPDATE nested_catalogs SET sha1 = '{lower.id.text}', size = {lower.size} {where}",),
            )
        else:
            root = changed(manifest.root_catalog, statements)

        def edit(writer: HistoryWriter, new: Manifest) -> None:
            writer.stand_at(new.root_catalog, new.root_size or 0, new.revision, new.timestamp or 0)

        sealer.amend(manifest, root, edit)


DAMAGES = {
    "a missing directory": ("DELETE FROM catalog WHERE name = 'dir'", "rows of its catalog are in no directory"),
    "a row in the wrong place": ("UPDATE catalog SET name = 'moved' WHERE name = 'file'", "the key of another path"),
    "a counter of its own": (
        "UPDATE statistics SET value = value + 1 WHERE counter = 'self_regular'",
        "its counter self_regular is 4, there are 3",
    ),
    "a counter of what is below": (
        "UPDATE statistics SET value = 77 WHERE counter = 'subtree_file_size'",
        "its counter subtree_file_size is 77, there are 21",
    ),
    "no content": ("UPDATE catalog SET hash = NULL WHERE name = 'file'", "a regular file without content"),
    "content of nothing": ("UPDATE catalog SET hash = zeroblob(20) WHERE name = 'file'", "has the name 0"),
    "a content that is not there": (
        "UPDATE catalog SET hash = x'00112233445566778899aabbccddeeff00112233' WHERE name = 'file'",
        "its object 00112233445566778899aabbccddeeff00112233 is missing",
    ),
    "a hash of no known kind": ("UPDATE catalog SET flags = flags | 0x700 WHERE name = 'file'", "hash algorithm 8"),
    "no chunks": ("DELETE FROM chunks", "a file of chunks and has none"),
    "a gap between chunks": ("UPDATE chunks SET offset = offset + 1 WHERE offset > 0", "a chunk begins at"),
    "a chunk too short": ("UPDATE chunks SET size = size - 1 WHERE offset = 0", "its chunks have 299999 bytes"),
    "a chunk that is not there": (
        "UPDATE chunks SET hash = x'00112233445566778899aabbccddeeff00112233' WHERE offset = 0",
        "its chunk 00112233445566778899aabbccddeeff00112233P (at 0",
    ),
    "a link of another length": ("UPDATE catalog SET size = 7 WHERE name = 'link'", "a symbolic link of size 7"),
    "a fifo with a size": ("UPDATE catalog SET size = 7 WHERE name = 'fifo'", "a special file of size 7"),
    "a link count of 0": ("UPDATE catalog SET hardlinks = 0 WHERE name = 'link'", "its link count is 0"),
    "a directory's link count": ("UPDATE catalog SET hardlinks = 9 WHERE name = 'dir'", "link count is 9, with 1 dir"),
    "a lost hard link": (
        "UPDATE catalog SET hardlinks = 1 WHERE name = 'other'",
        "has 1 members, and link count 2",
    ),
    "a directory among hard links": (
        "UPDATE catalog SET hardlinks = hardlinks | (5 << 32) WHERE name = 'dir'",
        "in a group of hard links",
    ),
    "attributes that cannot be read": ("UPDATE catalog SET xattr = x'07' WHERE name = 'file'", "cannot be read"),
    "a mountpoint without a catalog": ("DELETE FROM nested_catalogs", "no catalog is registered for it"),
    "a catalog without a mountpoint": (
        "UPDATE catalog SET flags = 1 WHERE name = 'nested'",
        "it is no directory of the catalog above",
    ),
    "a mountpoint of another kind": (
        "UPDATE catalog SET flags = 0x4001 WHERE name = 'nested'",
        "another kind of mountpoint",
    ),
    "the wrong size of a nested catalog": ("UPDATE nested_catalogs SET size = size + 1", "its catalog cannot be used"),
    "another directory at the mountpoint": ("UPDATE catalog SET uid = 4242 WHERE name = 'nested'", "differ in its uid"),
    "a name that no file has": ("UPDATE catalog SET name = 'a/b' WHERE name = 'file'", "none that a file can have"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_of_a_catalog_is_named(server: Server, name: str) -> None:
    statement, expected = DAMAGES[name]
    damage(server, statement)
    assert any(expected in fault for fault in check(server)), check(server)


def test_a_nested_catalog_without_its_marker_is_named(server: Server) -> None:
    damage(server, "DELETE FROM catalog WHERE name = '.cvmfscatalog'", mountpoint=b"/dir/nested")
    assert "/dir/nested: it starts a catalog and has no .cvmfscatalog" in check(server)


def test_a_marker_where_no_catalog_starts_is_named(server: Server) -> None:
    damage(server, "UPDATE catalog SET name = '.cvmfscatalog' WHERE name = 'other'")
    assert "/.cvmfscatalog: it marks a directory that starts no catalog" in check(server)


def test_a_catalog_of_another_place_is_named(server: Server) -> None:
    damage(server, "UPDATE properties SET value = '/elsewhere' WHERE key = 'root_prefix'", mountpoint=b"/dir/nested")
    assert any("its catalog is that of" in fault for fault in check(server))


def test_what_is_published_has_no_fault(server: Server) -> None:
    assert check(server, Scope(integrity=True)) == []
    status = json.loads((server.places.storage / ".cvmfs_status.json").read_text())
    assert status["check_status"] == "succeeded"
    assert published_status.parse_moment(status["last_check"]) == server.now()


def test_a_missing_catalog_is_named_once_and_its_counters_are_not_blamed(server: Server) -> None:
    with server.revision() as revision:
        nested = revision.tree.root.nested()[0]
    file = stored(server, nested.id)
    data = file.read_bytes()
    file.unlink()
    try:
        found = check(server)
    finally:
        file.write_bytes(data)
    assert len(found) == 1
    assert found[0].startswith("/dir/nested: its catalog cannot be used")


def test_a_flipped_bit_is_found_where_every_object_is_read(server: Server) -> None:
    with server.revision() as revision:
        content = revision.lookup(b"/file").content
    assert content is not None
    file = stored(server, content)
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes((data[-1] ^ 1,)))
    try:
        assert check(server) == []
        assert check(server, Scope(integrity=True)) == [f"{content.path}: its bytes do not match its name"]
    finally:
        file.write_bytes(data)


def test_files_that_are_no_objects_are_named(server: Server) -> None:
    stray = server.places.storage / "data/00/core.1234"
    stray.touch()
    try:
        assert check(server, Scope(integrity=True)) == [
            "data/00/core.1234: it is no object, and nothing else belongs there"
        ]
    finally:
        stray.unlink()


def test_a_tag_whose_revision_is_missing_is_named(server: Server) -> None:
    keeper = Keeper(server.layout, server.clock.nanoseconds)
    gone = ObjectId.of(b"gone", kind=Kind.CATALOG)
    with keeper.open(server.fqrn, "damaging") as repository:
        manifest = repository.manifest
        root = NestedRef(b"", manifest.root_catalog, manifest.root_size)

        def edit(writer: HistoryWriter, _: Manifest) -> None:
            tag = writer.find("first")
            assert tag is not None
            writer.add(dataclasses.replace(tag, root=gone))

        keeper.sealer(repository).amend(manifest, root, edit)
    assert check(server) == [f"tags: the root catalog {gone} of the tag first is missing"]


def test_another_reference_log_is_named_and_can_be_made_the_right_one(server: Server) -> None:
    log = server.places.storage / REFLOG
    manifest = server.manifest()
    log.unlink()
    writer = ReflogWriter(log, server.fqrn)
    for name in (manifest.certificate, manifest.history, manifest.metainfo):
        assert name is not None
        writer.add(name, 0)
    writer.finish()
    first, second = check(server)
    assert first.startswith(".cvmfsreflog: it has the hash")
    assert second == f".cvmfsreflog: it does not name {manifest.root_catalog}, which the manifest names"
    keeper = Keeper(server.layout, server.clock.nanoseconds)
    assert repair(keeper, server.fqrn)
    assert check(server) == [second]
    assert not repair(keeper, server.fqrn)


def test_a_lost_reference_log_is_made_anew_from_what_is_left(tmp_path: Path) -> None:
    server = Server(tmp_path, fast_options(auto_tag=False))
    for number in range(3):
        (server.tree / "file").write_text(str(number))
        server.publish()
    log = server.places.storage / REFLOG
    known = _references(log)
    log.unlink()
    assert check(server) == [".cvmfsreflog: it is missing, and the manifest names it"]
    keeper = Keeper(server.layout, server.clock.nanoseconds)
    assert "from 4 revisions" in repair(keeper, server.fqrn)
    assert _references(log) == known
    assert check(server) == []
    (server.tree / "file").write_text("more")
    server.publish()
    server.check()


def _references(log: Path) -> set[ObjectId]:
    file = ReflogFile.open(log)
    found = {reference.id for reference in file.references()}
    file.close()
    return found


def test_a_manifest_that_clients_refuse_is_a_fault(server: Server) -> None:
    file = server.places.storage / MANIFEST
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert any(fault.startswith(".cvmfspublished: clients refuse it") for fault in check(server))


def test_a_subtree_and_a_tag_are_checked_by_themselves(server: Server) -> None:
    keeper = Keeper(server.layout, server.clock.nanoseconds)

    def counted(scope: Scope) -> Checked:
        return RepositoryCheck(keeper, scope, print).run(server.fqrn)

    assert counted(Scope(subtree=b"/dir/nested")) == Checked(catalogs=1, entries=3)
    assert counted(Scope(tag="first")).catalogs == 2
    with pytest.raises(NotFound, match="no catalog begins at /dir"):
        counted(Scope(subtree=b"/dir"))
    with pytest.raises(NotFound, match="no tag nothing"):
        counted(Scope(tag="nothing"))


@pytest.mark.parametrize("name", NAMES)
def test_no_golden_repository_has_a_fault(name: str, tmp_path: Path) -> None:
    repository = golden(name)
    layout = taken_over(repository, tmp_path)
    found: list[str] = []
    check = RepositoryCheck(
        Keeper(layout, StandingClock(CLOCK)),
        Scope(integrity=True),
        lambda path, what: found.append(f"{path!r}: {what}"),
    )
    counted = check.run(repository.fqrn)
    assert found == []
    assert counted.entries >= len(repository.rows)
