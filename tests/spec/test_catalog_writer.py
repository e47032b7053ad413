"""Making catalogs: what is written is read back, counters are right, and what cannot be is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from swrepo.catalog.counters import Counters
from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.scratch import PAGE_SIZE
from swrepo.catalog.transplant import merge, split
from swrepo.catalog.writer import CatalogWriter
from swrepo.errors import FormatError, PathNotFound, PermissionRefused
from swrepo.format.dirent import Chunk, Flag
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from tests.old_catalogs import old_catalog
from tests.trees import chunked, directory, entry, file, open_catalog, symlink

SOME_ID = ObjectId(Algorithm.SHAKE128, bytes(range(20)), Kind.CATALOG)
OTHER_ID = ObjectId(Algorithm.SHAKE128, bytes(20), Kind.CATALOG)


@pytest.fixture
def writer(tmp_path: Path) -> CatalogWriter:
    return CatalogWriter.create(tmp_path / "new.db", directory())


def finished(writer: CatalogWriter, tmp_path: Path, name: str = "new.db", mountpoint: bytes = b"") -> CatalogFile:
    size = writer.finish({"revision": "1"})
    assert size == (tmp_path / name).stat().st_size
    return CatalogFile.open(tmp_path / name, mountpoint)


def names(catalog: CatalogFile, path: bytes = b"") -> set[bytes]:
    return {found.name for found in catalog.listing(path)}


def test_counters_count_every_kind_of_row(writer: CatalogWriter, tmp_path: Path) -> None:
    writer.add(b"/d", directory(xattr_blob=b"\x01\x01\x01\x01ab"))
    writer.add(b"/f", file(b"12345"))
    writer.add(b"/l", symlink(b"f"))
    writer.add(b"/p", entry(mode=0o010644, flags=4 | 16))
    writer.add(b"/old-fifo", entry(mode=0o010644, flags=4))
    writer.add(b"/big", chunked(30), [Chunk(0, 10, b"1" * 20), Chunk(10, 20, b"2" * 20)])
    writer.add(b"/far", entry(mode=0o100644, size=7, flags=4 | 128, digest=b"e" * 20))
    writer.set_nested(NestedRef(b"/d", SOME_ID, 3))
    writer.subtree = Counters(regular=1000)
    statistics = finished(writer, tmp_path).counters()
    assert statistics.own == Counters(
        regular=3,
        symlink=1,
        special=2,
        dir=2,
        nested=1,
        chunked=1,
        chunks=2,
        file_size=42,
        chunked_size=30,
        xattr=1,
        external=1,
        external_file_size=7,
    )
    assert statistics.subtree == Counters(regular=1000)
    assert statistics.total.regular == 1003
    assert statistics.total.entries == 1008


def test_the_name_of_an_entry_is_that_of_its_path(writer: CatalogWriter, tmp_path: Path) -> None:
    writer.add(b"/right", file()._replace(name=b"wrong"))
    assert names(finished(writer, tmp_path)) == {b"right"}


def test_what_was_written_so_far_can_be_looked_at(writer: CatalogWriter) -> None:
    writer.add(b"/a", directory())
    writer.add(b"/a/b", chunked(3), [Chunk(0, 3, b"c" * 20)])
    found = writer.lookup(b"/a/b")
    assert found is not None
    assert found.is_chunked
    assert writer.lookup(b"/nothing") is None
    assert writer.listing(b"/a") == [found]
    assert writer.chunks(b"/a/b") == (Chunk(0, 3, b"c" * 20),)
    writer.discard()


def test_a_replaced_entry_keeps_its_row_and_loses_its_chunks(writer: CatalogWriter, tmp_path: Path) -> None:
    writer.add(b"/f", chunked(3), [Chunk(0, 3, b"c" * 20)])
    before = writer.lookup(b"/f")
    writer.replace(b"/f", file(b"new"))
    catalog = finished(writer, tmp_path)
    after = catalog.lookup(b"/f")
    assert before is not None
    assert after is not None
    assert after.rowid == before.rowid
    assert after.size == 3
    assert catalog.chunks(b"/f") == ()
    assert catalog.counters().own.chunks == 0


def test_a_mountpoint_stays_one_when_its_metadata_change(writer: CatalogWriter) -> None:
    writer.add(b"/d", directory())
    writer.set_nested(NestedRef(b"/d", SOME_ID, 3))
    writer.replace(b"/d", directory(mode=0o700))
    found = writer.lookup(b"/d")
    assert found is not None
    assert (found.mode, found.flags) == (0o40700, Flag.DIRECTORY | Flag.NESTED_MOUNTPOINT)
    writer.discard()


def test_flags_of_catalogs_do_not_come_from_the_entries(writer: CatalogWriter) -> None:
    writer.add(b"/d", directory(flags=1 | 2 | 0x20 | 0x4000))
    found = writer.lookup(b"/d")
    assert found is not None
    assert found.flags == Flag.DIRECTORY
    writer.discard()


def test_put_adds_or_replaces(writer: CatalogWriter, tmp_path: Path) -> None:
    writer.put(b"/f", file(b"1"))
    writer.put(b"/f", file(b"22"))
    found = finished(writer, tmp_path).lookup(b"/f")
    assert found is not None
    assert found.size == 2


def test_a_directory_is_removed_with_all_that_is_in_it(writer: CatalogWriter, tmp_path: Path) -> None:
    for path in (b"/a", b"/a/b", b"/a/b/c", b"/ab"):
        writer.add(path, directory())
    writer.add(b"/a/b/f", chunked(3), [Chunk(0, 3, b"c" * 20)])
    writer.set_nested(NestedRef(b"/a/b/c", SOME_ID, 3))
    assert writer.remove(b"/a") == (NestedRef(b"/a/b/c", SOME_ID, 3),)
    catalog = finished(writer, tmp_path)
    assert names(catalog) == {b"ab"}
    assert catalog.counters().own == Counters(dir=2)
    assert catalog.nested() == ()


def test_numbers_of_rows_that_were_removed_are_not_given_again(writer: CatalogWriter) -> None:
    writer.add(b"/a", file())
    writer.add(b"/b", file())
    gone = writer.lookup(b"/b")
    writer.remove(b"/b")
    writer.add(b"/c", file())
    new = writer.lookup(b"/c")
    assert gone is not None
    assert new is not None
    assert new.rowid > gone.rowid
    writer.discard()


def test_a_nested_catalog_is_mounted_replaced_and_unmounted(writer: CatalogWriter, tmp_path: Path) -> None:
    writer.add(b"/d", directory())
    writer.set_nested(NestedRef(b"/d", SOME_ID, 3))
    writer.set_nested(NestedRef(b"/d", OTHER_ID, 4))
    assert writer.nested() == (NestedRef(b"/d", OTHER_ID, 4),)
    assert writer.remove_nested(b"/d") == NestedRef(b"/d", OTHER_ID, 4)
    with pytest.raises(PathNotFound):
        writer.remove_nested(b"/d")
    catalog = finished(writer, tmp_path)
    assert catalog.nested() == ()
    found = catalog.lookup(b"/d")
    assert found is not None
    assert found.flags == Flag.DIRECTORY


def test_the_root_of_a_nested_catalog_says_so(tmp_path: Path) -> None:
    writer = CatalogWriter.create(tmp_path / "new.db", directory(), b"/a/b")
    catalog = finished(writer, tmp_path, mountpoint=b"/a/b")
    assert catalog.root_prefix == b"/a/b"
    root = catalog.lookup(b"/a/b")
    assert root is not None
    assert (root.name, root.flags) == (b"b", Flag.DIRECTORY | Flag.NESTED_ROOT)


def test_hard_link_groups_get_numbers_that_are_not_in_use(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path / "old.db", {b"/a": file(group=5, links=2), b"/b": file(group=5, links=2)})
    writer = CatalogWriter.edit(catalog, tmp_path / "new.db")
    assert [writer.next_hardlink_group(), writer.next_hardlink_group()] == [6, 7]
    writer.discard()


def test_an_edited_catalog_leaves_the_old_one_as_it_was(tmp_path: Path) -> None:
    old = open_catalog(tmp_path / "old.db", {b"/a": file(), b"/b": file()}, properties={"TTL": "240"})
    before = (tmp_path / "old.db").read_bytes()
    writer = CatalogWriter.edit(old, tmp_path / "new.db")
    writer.remove(b"/a")
    writer.add(b"/c", file())
    new = finished(writer, tmp_path)
    assert names(new) == {b"b", b"c"}
    assert names(old) == {b"a", b"b"}
    assert new.properties["TTL"] == "240"
    assert (tmp_path / "old.db").read_bytes() == before


@pytest.mark.parametrize("version", ["2.0", "2.4", "2.5"])
@pytest.mark.parametrize("revision", [0, 3, 7])
def test_an_old_catalog_is_brought_to_the_newest_schema_when_it_is_edited(
    version: str, revision: int, tmp_path: Path
) -> None:
    old_catalog(tmp_path / "old.db", version, revision, altered=True)
    connection = sqlite3.connect(tmp_path / "old.db")
    connection.execute("UPDATE nested_catalogs SET path = '/f'")
    connection.execute("UPDATE catalog SET flags = 1, mode = 16877 WHERE rowid = 1")
    connection.commit()
    connection.close()
    old = CatalogFile.open(tmp_path / "old.db")
    new = finished(CatalogWriter.edit(old, tmp_path / "new.db"), tmp_path)
    assert new.is_current
    mine, theirs = new.lookup(b"/f"), old.lookup(b"/f")
    assert mine is not None
    assert theirs is not None
    assert mine == theirs._replace(flags=3)
    assert new.nested() == old.nested()
    assert new.counters().own == Counters(dir=1, nested=1, xattr=int(revision >= 2))


def test_copies_of_copies_hold_no_free_page_and_grow_by_what_is_added_only(tmp_path: Path) -> None:
    names = [b"/file-%05d" % number for number in range(400)]
    catalog = open_catalog(tmp_path / "0", {name: file() for name in names})
    for turn in range(1, 30):
        writer = CatalogWriter.edit(catalog, tmp_path / str(turn))
        gone, *names = names
        writer.remove(gone)
        names.append(b"/other-%05d" % turn)
        writer.add(names[-1], file())
        writer.replace(names[turn], file(b"changed" * turn))
        size = writer.finish({})
        catalog.close()
        catalog = CatalogFile.open(tmp_path / str(turn), b"")
        with closing(sqlite3.connect(tmp_path / str(turn))) as database:
            assert database.execute("PRAGMA freelist_count").fetchone() == (0,)
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            database.execute("VACUUM")
        assert size <= (tmp_path / str(turn)).stat().st_size * 1.02
    assert sorted(b"/" + entry.name for entry in catalog.listing(b"")) == sorted(names)


def test_pages_of_another_size_become_ours_when_a_catalog_is_edited(tmp_path: Path) -> None:
    open_catalog(tmp_path / "old", {b"/a": file()}).close()
    with closing(sqlite3.connect(tmp_path / "old")) as database:
        database.execute("PRAGMA page_size = 4096")
        database.execute("VACUUM")
    writer = CatalogWriter.edit(CatalogFile.open(tmp_path / "old", b""), tmp_path / "new")
    writer.replace(b"/a", file(b"more"))
    writer.finish({})
    with closing(sqlite3.connect(tmp_path / "new")) as database:
        assert database.execute("PRAGMA page_size").fetchone() == (PAGE_SIZE,)


def test_a_planted_catalog_is_not_edited(tmp_path: Path) -> None:
    open_catalog(tmp_path / "old.db", {}).close()
    with pytest.raises(FormatError, match="planted"):
        CatalogWriter.edit(CatalogFile.open(tmp_path / "old.db", b"/elsewhere"), tmp_path / "new.db")


def test_a_subtree_moves_into_a_catalog_of_its_own_and_back(writer: CatalogWriter, tmp_path: Path) -> None:
    linked = file(b"x", group=1, links=2)
    for path, what in {
        b"/d": directory(),
        b"/d/e": directory(),
        b"/d/e/one": linked,
        b"/d/e/two": linked,
        b"/d/.hidden": entry(flags=0x8004, digest=b"h" * 20),
        b"/up-one": linked,
        b"/up-two": linked,
    }.items():
        writer.add(path, what)
    writer.add(b"/d/big", chunked(3), [Chunk(0, 3, b"c" * 20)])
    before = writer.own
    lower = split(writer, b"/d", tmp_path / "lower.db")
    assert writer.listing(b"/d") == []
    below = finished(lower, tmp_path, "lower.db", b"/d")
    writer.set_nested(NestedRef(b"/d", SOME_ID, 3))
    assert writer.own + below.counters().own == before + Counters(dir=1, nested=1)
    merge(writer, below)
    assert writer.own == before
    catalog = finished(writer, tmp_path)
    one, two = catalog.lookup(b"/d/e/one"), catalog.lookup(b"/d/e/two")
    up = catalog.lookup(b"/up-one")
    assert one is not None
    assert two is not None
    assert up is not None
    assert one.hardlinks == two.hardlinks
    assert one.linkcount == 2
    assert one.hardlink_group != up.hardlink_group
    assert catalog.chunks(b"/d/big") == (Chunk(0, 3, b"c" * 20),)
    assert catalog.lookup(b"/d/.hidden") is not None


def test_what_cannot_be_is_refused(writer: CatalogWriter, tmp_path: Path) -> None:
    with pytest.raises(PathNotFound):
        writer.replace(b"/none", file())
    with pytest.raises(PathNotFound):
        writer.remove(b"/none")
    with pytest.raises(PathNotFound):
        writer.set_nested(NestedRef(b"/none", SOME_ID, 3))
    with pytest.raises(PathNotFound):
        split(writer, b"/none", tmp_path / "lower.db")
    with pytest.raises(FormatError):
        writer.remove(b"")
    with pytest.raises(FormatError):
        writer.add(b"", directory())
    writer.add(b"/f", file())
    with pytest.raises(PathNotFound):
        writer.set_nested(NestedRef(b"/f", SOME_ID, 3))
    with pytest.raises(PermissionRefused):
        CatalogWriter.create(tmp_path / "new.db", directory())
    writer.discard()
    writer.discard()
    assert not (tmp_path / "new.db").exists()


def test_a_path_of_another_place_is_refused(tmp_path: Path) -> None:
    writer = CatalogWriter.create(tmp_path / "new.db", directory(), b"/a")
    with pytest.raises(FormatError, match="not below"):
        writer.add(b"/ab", file())
    writer.discard()


def test_a_path_that_is_added_twice_is_found_out(writer: CatalogWriter) -> None:
    writer.add(b"/f", file())
    writer.add(b"/f", file())
    with pytest.raises(FormatError, match="UNIQUE"):
        writer.finish({})
    writer.discard()


def test_a_number_that_the_format_cannot_hold_is_refused(writer: CatalogWriter) -> None:
    writer.add(b"/f", file(size=1 << 64))
    with pytest.raises(FormatError, match="cannot write"):
        writer.finish({})
    writer.discard()
