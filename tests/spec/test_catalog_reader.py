"""One catalog file: what is read from it, in every version of its schema, and what is refused."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from swrepo.catalog import schema
from swrepo.catalog.counters import Counters
from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.errors import FormatError, ObjectNotFound
from swrepo.format.dirent import Chunk
from swrepo.format.paths import path_key
from tests.old_catalogs import SOME_ID, old_catalog
from tests.trees import MTIME, chunked, directory, file, open_catalog, symlink, write_catalog


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


def test_an_entry_is_found_by_its_path(here: Path) -> None:
    catalog = open_catalog(here, {b"/a": directory(), b"/a/b": file(b"hello", mode=0o755, uid=5, gid=3_000_000_000)})
    found = catalog.lookup(b"/a/b")
    assert found is not None
    assert (found.name, found.mode, found.size, found.uid, found.gid) == (b"b", 0o100755, 5, 5, 3_000_000_000)
    assert catalog.lookup(b"/a/c") is None
    assert catalog.lookup(b"") is not None


def test_a_listing_is_in_the_order_of_rows_and_can_be_read_in_pieces(here: Path) -> None:
    names = [b"/z", b"/b", b"/m", b"/a"]
    catalog = open_catalog(here, {name: file() for name in names})
    whole = catalog.listing(b"")
    assert [entry.name for entry in whole] == [b"z", b"b", b"m", b"a"]
    first = catalog.listing(b"", limit=2)
    assert first + catalog.listing(b"", after_rowid=first[-1].rowid) == whole
    assert catalog.listing(b"/z") == []


def test_names_and_targets_that_are_not_utf_8_are_read_as_they_are(here: Path) -> None:
    catalog = open_catalog(here, {b"/\xff\xfe\n": file(), b"/l": symlink(b"\x80/\xc3")})
    assert {entry.name for entry in catalog.listing(b"")} == {b"\xff\xfe\n", b"l"}
    found = catalog.lookup(b"/l")
    assert found is not None
    assert found.symlink == b"\x80/\xc3"


def test_hidden_entries_are_found_but_not_listed(here: Path) -> None:
    catalog = open_catalog(here, {b"/.cvmfs": directory(flags=0x8001), b"/seen": file()})
    assert [entry.name for entry in catalog.listing(b"")] == [b"seen"]
    assert [entry.name for entry in catalog.listing(b"", hidden=True)] == [b".cvmfs", b"seen"]
    assert catalog.lookup(b"/.cvmfs") is not None


def test_a_row_number_leads_to_the_entry_and_its_directory(here: Path) -> None:
    catalog = open_catalog(here, {b"/a": directory(), b"/a/b": file()})
    found = catalog.lookup(b"/a/b")
    assert found is not None
    assert catalog.by_rowid(found.rowid) == (found, path_key(b"/a/b"), path_key(b"/a"))
    assert catalog.lookup_key(path_key(b"/a/b")) == found
    assert catalog.by_rowid(99) is None
    assert catalog.by_rowid(1 << 70) is None
    assert catalog.max_rowid == 3


def test_chunks_come_in_the_order_of_their_offsets(here: Path) -> None:
    chunks = [Chunk(10, 5, b"b" * 20), Chunk(0, 10, b"a" * 20)]
    catalog = open_catalog(here, {b"/big": (chunked(15), chunks)})  # type: ignore[dict-item]
    assert catalog.chunks(b"/big") == (chunks[1], chunks[0])
    assert catalog.chunks(path_key(b"/big")) == (chunks[1], chunks[0])
    assert catalog.chunks(b"/other") == ()


def test_the_first_row_of_a_hard_link_group_leads_it(here: Path) -> None:
    linked = file(b"x", group=7, links=2)
    catalog = open_catalog(here, {b"/single": file(), b"/one": linked, b"/two": linked})
    first = catalog.lookup(b"/one")
    assert first is not None
    assert catalog.hardlink_leader(7) == first.rowid
    assert catalog.hardlink_leader(8) == 0


def test_what_is_nested_is_told_with_name_and_size(here: Path) -> None:
    refs = (NestedRef(b"/a", SOME_ID, 1000), NestedRef(b"/b", SOME_ID, None, is_bind=True))
    catalog = open_catalog(here, {b"/a": directory(), b"/b": directory()}, nested=refs)
    assert catalog.nested() == refs
    mountpoint, bind = catalog.listing(b"")
    assert mountpoint.is_nested_mountpoint
    assert bind.is_bind_mountpoint


def test_a_catalog_planted_elsewhere_answers_for_the_paths_it_was_planted_at(here: Path) -> None:
    ref = NestedRef(b"/a/n", SOME_ID, 5)
    write_catalog(here, {b"/a": directory(), b"/a/n": directory(), b"/f": file(b"x")}, nested=(ref,))
    catalog = CatalogFile.open(here, b"/.cvmfs/snapshots/v1")
    root = catalog.lookup(b"/.cvmfs/snapshots/v1")
    assert root is not None
    assert root.name == b"v1"
    assert catalog.lookup(b"/.cvmfs/snapshots/v1/f") is not None
    assert [entry.name for entry in catalog.listing(b"/.cvmfs/snapshots/v1/a")] == [b"n"]
    assert catalog.nested() == (NestedRef(b"/.cvmfs/snapshots/v1/a/n", SOME_ID, 5),)


def test_properties_are_read(here: Path) -> None:
    previous = SOME_ID.text
    catalog = open_catalog(
        here, {}, prefix=b"", properties={"revision": "12", "last_modified": "99", "previous_revision": previous}
    )
    assert (catalog.revision, catalog.last_modified, catalog.previous_revision) == (12, 99, SOME_ID)


def test_a_previous_revision_of_nothing_but_zeros_is_none(here: Path) -> None:
    assert open_catalog(here, {}, properties={"previous_revision": "0" * 40}).previous_revision is None


def test_a_descriptor_is_enough_even_when_the_file_has_lost_its_name(here: Path) -> None:
    write_catalog(here, {b"/a": file()})
    descriptor = os.open(here, os.O_RDONLY)
    os.unlink(here)
    catalog = CatalogFile.open(descriptor)
    os.close(descriptor)
    assert catalog.lookup(b"/a") is not None
    catalog.close()
    catalog.close()


def test_a_file_that_is_not_there_is_not_found(here: Path) -> None:
    with pytest.raises(ObjectNotFound, match="no file to open"):
        CatalogFile.open(here)


def test_many_threads_may_read_one_catalog(here: Path) -> None:
    catalog = open_catalog(here, {b"/f%d" % number: file() for number in range(500)})
    wrong: list[bytes] = []

    def read() -> None:
        for number in range(500):
            found = catalog.lookup(b"/f%d" % number)
            if found is None or found.name != b"f%d" % number:
                wrong.append(b"/f%d" % number)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Older schemas


@pytest.mark.parametrize("altered", [False, True])
@pytest.mark.parametrize("revision", range(8))
@pytest.mark.parametrize("version", ["2.0", "2.1", "2.2", "2.3", "2.4", "2.5"])
def test_every_version_of_the_schema_is_read(version: str, revision: int, altered: bool, here: Path) -> None:
    old_catalog(here, version, revision, altered=altered)
    catalog = CatalogFile.open(here)
    found = catalog.lookup(b"/f")
    assert found is not None
    assert catalog.listing(b"") == [found]
    assert (found.name, found.size, found.mode, found.mtime, found.digest) == (b"f", 10, 0o100644, MTIME, b"h" * 20)
    assert (found.uid, found.gid) == ((0, 0) if version == "2.0" else (3, 4))
    assert found.linkcount == 1
    assert found.hardlink_group == 0
    assert found.mtime_ns == (5 if revision >= 7 else None)
    assert found.xattr_blob == (b"\x01\x01\x01\x01ab" if revision >= 2 else None)
    assert catalog.nested() == (NestedRef(b"/n", SOME_ID, None),)
    assert catalog.chunks(b"/f") == ()
    assert catalog.hardlink_leader(1) == 0
    statistics = catalog.counters()
    assert statistics.own == Counters(regular=int(version >= "2.4"))
    assert statistics.total.dir == (8 if version >= "2.4" else 0)
    assert [entry for entry, _, _ in catalog.entries()] == [found]
    assert not catalog.is_current
    catalog.close()


@pytest.mark.parametrize("version", ["2.4999998807907", "2.5000000", "2.0000001"])
def test_versions_with_the_noise_of_floating_point_are_read(version: str, here: Path) -> None:
    old_catalog(here, version, 7, altered=False)
    assert CatalogFile.open(here).lookup(b"/f") is not None


@pytest.mark.parametrize("version", ["1.0", "0.9", "3.0", "2.6", "", "nan", "inf", "two"])
def test_other_versions_are_refused(version: str, here: Path) -> None:
    old_catalog(here, version, 7, altered=False)
    with pytest.raises(FormatError, match="can be read"):
        CatalogFile.open(here)


# Signed, and yet not sound


def changed(path: Path, *statements: str) -> Path:
    write_catalog(path, {b"/d": directory(), b"/d/f": file(b"x"), b"/big": (chunked(5), [Chunk(0, 5, b"c" * 20)])})  # type: ignore[dict-item]
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize("column", [name for name in schema.CATALOG_COLUMNS if "_" not in name])
@pytest.mark.parametrize("value", ["NULL", "'text'", "x'00ff'", "-1", "1e300", "9223372036854775807", "-9e18", "''"])
def test_a_value_of_any_type_in_any_column_is_read_as_something_sane(column: str, value: str, here: Path) -> None:
    catalog = CatalogFile.open(changed(here, f"UPDATE catalog SET {column} = {value} WHERE name = 'f'"))
    found = catalog.lookup(b"/d/f")
    assert found is not None
    assert isinstance(found.name, bytes)
    assert isinstance(found.symlink, bytes)
    assert isinstance(found.digest, bytes | None)
    assert isinstance(found.xattr_blob, bytes | None)
    assert 0 <= found.mode < 1 << 16
    assert 0 <= found.size < 1 << 63
    assert 0 <= found.uid < 1 << 32
    assert 0 <= found.gid < 1 << 32
    assert found.mtime_ns is None or 0 <= found.mtime_ns < 10**9
    assert -(1 << 63) <= found.mtime < 1 << 63
    assert isinstance(found.flags, int)
    assert 0 <= found.linkcount < 1 << 32
    assert 0 <= found.hardlink_group < 1 << 32


@pytest.mark.parametrize("name", ["'..'", "'.'", "''", "NULL", "'a/b'", "CAST(x'6100' AS TEXT)", "'twin'"])
def test_names_that_no_directory_can_have_are_refused(name: str, here: Path) -> None:
    twin = "INSERT INTO catalog SELECT 1, 2, parent_1, parent_2, 1, hash, 1, mode, 1, 0, flags, 'twin', '', 0, 0, NULL FROM catalog WHERE name = 'f'"
    catalog = CatalogFile.open(changed(here, twin, f"UPDATE catalog SET name = {name} WHERE name = 'f'"))
    with pytest.raises(FormatError, match="same name"):
        catalog.listing(b"/d")


@pytest.mark.parametrize("path", ["'/d/../x'", "'/d//x'", "'x'", "''", "NULL", "'/d/'", "5"])
def test_a_mountpoint_outside_of_the_catalog_is_refused(path: str, here: Path) -> None:
    statement = f"INSERT INTO nested_catalogs VALUES ({path}, '{SOME_ID.text}', 1)"
    catalog = CatalogFile.open(changed(here, statement))
    with pytest.raises(FormatError, match="mounts"):
        catalog.nested()


def test_a_mountpoint_beside_a_nested_catalog_is_refused(here: Path) -> None:
    write_catalog(here, {b"/a/in": directory()}, prefix=b"/a", nested=(NestedRef(b"/a/in", SOME_ID, 1),))
    connection = sqlite3.connect(here)
    connection.execute("UPDATE nested_catalogs SET path = '/b'")
    connection.commit()
    connection.close()
    with pytest.raises(FormatError, match="not below it"):
        CatalogFile.open(here, b"/a").nested()


@pytest.mark.parametrize("name", ["NULL", "'abc'", "x'00'", f"'{'A' * 40}'"])
def test_a_nested_catalog_without_a_proper_name_is_refused(name: str, here: Path) -> None:
    catalog = CatalogFile.open(changed(here, f"INSERT INTO nested_catalogs VALUES ('/d', {name}, 1)"))
    with pytest.raises(FormatError):
        catalog.nested()


@pytest.mark.parametrize(
    "change", ["hash = NULL", "hash = 'short'", "offset = -1", "size = -5", "size = NULL, hash = 1"]
)
def test_a_chunk_that_makes_no_sense_is_refused(change: str, here: Path) -> None:
    catalog = CatalogFile.open(changed(here, f"UPDATE chunks SET {change}"))
    with pytest.raises(FormatError, match="chunk"):
        catalog.chunks(b"/big")


ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"


@pytest.mark.parametrize(
    "statement",
    [
        f"CREATE VIEW evil AS {ENDLESS}",
        "CREATE TRIGGER evil AFTER INSERT ON catalog BEGIN DELETE FROM catalog; END",
        "CREATE VIRTUAL TABLE evil USING fts5 (x)",
        "ALTER TABLE catalog ADD COLUMN evil TEXT AS (zeroblob(1000000))",
        "ALTER TABLE catalog DROP COLUMN flags",
        "DROP TABLE catalog",
        "DROP TABLE properties",
    ],
)
def test_tables_that_are_not_those_of_a_catalog_are_refused(statement: str, here: Path) -> None:
    changed(here, statement)
    with pytest.raises(FormatError):
        CatalogFile.open(here)


def test_a_table_without_row_numbers_is_refused(here: Path) -> None:
    statement = schema.CATALOG_TABLE + " WITHOUT ROWID"
    changed(here, "DROP TABLE catalog", statement)
    with pytest.raises(FormatError):
        CatalogFile.open(here).lookup(b"/a")


def test_text_in_another_encoding_is_refused(here: Path) -> None:
    connection = sqlite3.connect(here)
    connection.execute("PRAGMA encoding = 'UTF-16'")
    connection.execute(schema.PROPERTIES_TABLE)
    connection.commit()
    connection.close()
    with pytest.raises(FormatError, match="UTF-8"):
        CatalogFile.open(here)


def test_a_value_that_is_too_long_is_refused_before_it_takes_memory(here: Path) -> None:
    catalog = CatalogFile.open(changed(here, "UPDATE catalog SET xattr = zeroblob(30000000) WHERE name = 'f'"))
    with pytest.raises(FormatError, match="too big"):
        catalog.lookup(b"/d/f")


def test_a_tree_of_pages_that_leads_in_circles_is_refused_soon(here: Path) -> None:
    """Every inner page of the index points to the same children again: endless rows in a small file."""
    write_catalog(here, {b"/f%05d" % number: file() for number in range(5000)})
    raw = bytearray(here.read_bytes())
    connection = sqlite3.connect(here)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'catalog'").fetchone()
    connection.close()
    start = (page - 1) * 1024
    assert raw[start] == 5  # an inner page of a table
    cells = int.from_bytes(raw[start + 3 : start + 5])
    for cell in range(cells):
        pointer = start + 12 + 2 * cell
        where = start + int.from_bytes(raw[pointer : pointer + 2])
        raw[where : where + 4] = page.to_bytes(4)
    here.write_bytes(raw)
    catalog = CatalogFile.open(here)
    with pytest.raises(FormatError):
        list(catalog.entries())


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"not a database" * 100, bytes(4096)])
def test_a_file_that_is_no_database_is_refused(content: bytes, here: Path) -> None:
    here.write_bytes(content)
    with pytest.raises(FormatError):
        CatalogFile.open(here)


def test_damage_that_the_library_quotes_in_its_complaint_is_refused_like_any_other(here: Path) -> None:
    write_catalog(here, {})
    here.write_bytes(here.read_bytes().replace(b"CREATE TABLE catalog", b"CREATE TABLE c\x80talog"))
    with pytest.raises(FormatError):
        CatalogFile.open(here)
    here.write_bytes(here.read_bytes().replace(b"CREATE TABLE c", b"CREATE \x80ABLE c"))
    with pytest.raises(FormatError):
        CatalogFile.open(here)


def test_a_directory_is_not_a_catalog(tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        CatalogFile.open(tmp_path)
