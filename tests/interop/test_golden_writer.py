"""Catalogs of CernVM-FS 2.12 written again by CatalogWriter: row by row the same, in the same tables, as small."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from swrepo.catalog.counters import Counters
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.transplant import merge, split
from swrepo.catalog.writer import CatalogWriter
from swrepo.format import envelope, manifest
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import PathKey, join, path_key
from swrepo.format.wellknown import MANIFEST
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import Want
from swrepo.repository.history import HistoryFile, HistoryWriter, open_history
from swrepo.repository.reflog import ReflogFile, ReflogWriter
from tests.golden import NAMES, golden
from tests.local_objects import UnpackedObjects

Tables = dict[str, list[tuple[object, ...]]]

ORDERED = ("catalog", "chunks", "statistics")
"""Tables whose order of rows must be the same as well."""


def catalogs(name: str, directory: Path) -> Iterator[tuple[Path, bytes]]:
    """The unpacked file and the mountpoint of every catalog of a repository, the lower ones after the upper ones."""
    served = golden(name).served
    directory.mkdir()
    objects = UnpackedObjects(DirectoryObjects(served), directory)
    found = manifest.parse(envelope.split((served / MANIFEST).read_bytes()).body)
    waiting = [(Want(found.root_catalog, size=found.root_size), b"")]
    while waiting:
        want, mountpoint = waiting.pop()
        os.close(objects.open(want))
        path = directory / want.id.name
        yield path, mountpoint
        catalog = CatalogFile.open(path, mountpoint)
        waiting.extend((Want(ref.id, size=ref.size), ref.path) for ref in catalog.nested())
        catalog.close()


def tables(path: Path, *, with_rowids: bool = False) -> Tables:
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    found: Tables = {}
    for (raw,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        name = raw.decode()
        rowid = "rowid, " if with_rowids else ""
        rows = connection.execute(f"SELECT {rowid}* FROM {name} ORDER BY rowid").fetchall()
        found[name] = rows if name in ORDERED else sorted(rows)
    found["sqlite_master"] = sorted(
        connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    )
    found["page size"] = connection.execute("PRAGMA page_size").fetchall()
    found["free pages"] = connection.execute("PRAGMA freelist_count").fetchall()
    assert connection.execute("PRAGMA integrity_check").fetchall() == [(b"ok",)]
    connection.close()
    return found


def paths_of(catalog: CatalogFile) -> dict[PathKey, bytes]:
    """The path of every entry by its key."""
    found = {path_key(catalog.mountpoint): catalog.mountpoint}
    waiting = [catalog.mountpoint]
    while waiting:
        directory = waiting.pop()
        for entry in catalog.listing(directory, hidden=True):
            path = join(directory, entry.name)
            found[path_key(path)] = path
            if entry.is_directory:
                waiting.append(path)
    return found


def write_again(catalog: CatalogFile, path: Path) -> None:
    paths = paths_of(catalog)
    root, *others = catalog.entries()
    writer = CatalogWriter.create(path, root[0], catalog.root_prefix)
    # Chunks in the order of the original's table, so that it can be compared as it is.
    of_file: dict[PathKey, list[object]] = {}
    for key, chunk in catalog.all_chunks():
        of_file.setdefault(key, []).append(chunk)
    for entry, key, _ in others:
        writer.add(paths[key], entry, of_file.get(key, ()))
    for ref in catalog.nested():
        writer.set_nested(ref)
    writer.subtree = catalog.counters().subtree
    kept = {name: value for name, value in catalog.properties.items() if name != "root_prefix"}
    writer.finish(kept)


@pytest.mark.parametrize("name", NAMES)
def test_a_catalog_written_from_its_rows_has_the_same_rows_in_every_table(name: str, tmp_path: Path) -> None:
    for number, (original, mountpoint) in enumerate(catalogs(name, tmp_path / "golden")):
        catalog = CatalogFile.open(original, mountpoint)
        again = tmp_path / f"{number}.db"
        write_again(catalog, again)
        catalog.close()
        expected, found = tables(original), tables(again)
        if name != "chunked":  # there the chunks of several files are interleaved, in the order of their uploads
            assert found["chunks"] == expected["chunks"]
        expected["chunks"].sort()
        found["chunks"].sort()
        assert found == expected
        assert again.stat().st_size <= original.stat().st_size


@pytest.mark.parametrize("name", NAMES)
def test_a_catalog_edited_without_a_change_keeps_every_row_and_its_number(name: str, tmp_path: Path) -> None:
    for number, (original, mountpoint) in enumerate(catalogs(name, tmp_path / "golden")):
        catalog = CatalogFile.open(original, mountpoint)
        again = tmp_path / f"{number}.db"
        CatalogWriter.edit(catalog, again).finish({})
        catalog.close()
        expected, found = tables(original, with_rowids=True), tables(again, with_rowids=True)
        for ours in (expected, found):
            # Replaced on every publication, and so numbered again.
            ours["statistics"] = [row[1:] for row in ours["statistics"]]
        assert found == expected


def test_nested_catalogs_merged_into_one_and_split_again_are_as_before(tmp_path: Path) -> None:
    """golden-hardlinks: three catalogs above one another, groups of linked files in each; only group numbers change."""
    originals = {mountpoint: path for path, mountpoint in catalogs("hardlinks", tmp_path / "golden")}
    root = CatalogFile.open(originals[b""], b"")
    merged = CatalogWriter.edit(root, tmp_path / "merged.db")
    for mountpoint in sorted(originals)[1:]:
        lower = CatalogFile.open(originals[mountpoint], mountpoint)
        merge(merged, lower)
        lower.close()
    assert merged.nested() == ()
    nested = len(originals) - 1  # each mountpoint was counted in two catalogs
    assert merged.own == root.counters().total - Counters(dir=nested, nested=nested)
    refs = {ref.path: ref for ref in root.nested()}
    for number, mountpoint in enumerate(sorted(originals, reverse=True)[:-1]):
        lower = CatalogFile.open(originals[mountpoint], mountpoint)
        writer = split(merged, mountpoint, tmp_path / f"{number}.db")
        for ref in lower.nested():
            writer.set_nested(ref)
        writer.finish({})
        lower.close()
        assert rows_with_groups(tmp_path / f"{number}.db") == rows_with_groups(originals[mountpoint])
    merged.set_nested(refs[b"/nested"])
    merged.finish({})
    root.close()
    assert rows_with_groups(tmp_path / "merged.db") == rows_with_groups(originals[b""])


def rows_with_groups(path: Path) -> list[tuple[object, ...]]:
    """The entries, each with its link count and the members of its group in place of the group's number."""
    rows = tables(path)["catalog"]
    members: dict[int, list[object]] = {}
    for row in rows:
        members.setdefault(int(str(row[4])) >> 32, []).append(row[:2])
    return sorted(
        (*row[:4], int(str(row[4])) & 0xFFFFFFFF, str(sorted(members[group], key=str) if group else None), *row[5:])
        for row in rows
        for group in (int(str(row[4])) >> 32,)
    )


def history_of(name: str, directory: Path) -> HistoryFile:
    served = golden(name).served
    found = manifest.parse(envelope.split((served / MANIFEST).read_bytes()).body)
    assert found.history is not None
    return open_history(found.history, UnpackedObjects(DirectoryObjects(served), directory))


@pytest.mark.parametrize("name", ["basic", "history", "shake128"])
def test_a_tag_database_edited_without_a_change_has_the_same_rows(name: str, tmp_path: Path) -> None:
    history = history_of(name, tmp_path)
    writer = HistoryWriter.edit(history, tmp_path / "again.db")
    previous = history.previous_revision
    assert isinstance(previous, ObjectId)
    writer.finish(previous)
    original = next(path for path in tmp_path.iterdir() if path.name.endswith("H"))
    expected, found = tables(original), tables(tmp_path / "again.db")
    assert found == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_log_edited_without_a_change_has_the_same_rows(name: str, tmp_path: Path) -> None:
    original = golden(name).served / ".cvmfsreflog"
    ReflogWriter.edit(ReflogFile.open(original), tmp_path / "again.db").finish()
    assert tables(tmp_path / "again.db") == tables(original)
