"""What CernVM-FS published, published again by us: the same catalogs, row by row, and the same counters.

With zlib as the compressor the contents' hashes are the same too.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from swrepo.catalog.tree import CatalogTree
from swrepo.format import envelope, manifest
from swrepo.format.wellknown import MANIFEST
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import Want
from swrepo.publish import dirtab, settings
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.encoder import Compressor
from swrepo.publish.layout import ServerLayout
from swrepo.publish.plain import PlainObjects
from swrepo.publish.transaction import Publisher
from swrepo.repository.revision import Revision
from tests.golden import NAMES, Golden, golden
from tests.interop.materialise import NO_OWNER, materialise

FQRN = "again.example.org"
IS_ZLIB_ITSELF = "ng" not in zlib.ZLIB_RUNTIME_VERSION

Row = dict[str, Any]
Catalog = dict[str, Any]


def open_revision(served: Path, scratch: Path) -> Revision:
    objects = DirectoryObjects(served)
    current = manifest.parse(envelope.split(objects.read(MANIFEST)).body)
    return Revision(current.root_catalog, PlainObjects(objects, scratch), current.root_size)


def publish_again(repository: Golden, tmp_path: Path, compressor: Compressor) -> Revision:
    """The tree of a golden repository, as a new repository with the same settings."""
    theirs = settings.load(repository.path / "server.conf")
    layout = ServerLayout(tmp_path / "server")
    options = CreateOptions(
        algorithm=theirs.algorithm,
        compression=theirs.compression,
        compressor=compressor,
        chunks=None if repository.name == "ingest" else theirs.chunks,  # tarballs are ingested without cutting
        xattrs=theirs.xattrs,
        mtime_ns=theirs.mtime_ns,
    )
    places = create_repository(layout, FQRN, options)
    with open_revision(repository.served, tmp_path) as golden_revision:
        materialise(golden_revision, places.worktree)
    Publisher(layout).publish(FQRN)
    return open_revision(places.storage, tmp_path)


def catalogs(revision: Revision, scratch: Path) -> dict[bytes, Catalog]:
    """Every catalog's tables, by mountpoint."""
    found: dict[bytes, Catalog] = {}
    waiting = [(b"", revision.root)]
    while waiting:
        mountpoint, name = waiting.pop()
        file = scratch / "catalog.db"
        descriptor = revision.objects.open(Want(name))
        with open(descriptor, "rb") as source:
            file.write_bytes(source.read())
        found[mountpoint] = read_tables(file)
        waiting += [(ref.path, ref.id) for ref in revision.tree.find(mountpoint).nested()]
    return found


def read_tables(file: Path) -> Catalog:
    database = sqlite3.connect(file)
    database.text_factory = bytes
    database.row_factory = sqlite3.Row
    try:
        rows = [dict(row) for row in database.execute("SELECT * FROM catalog")]
        return {
            "rows": normalised(rows),
            "chunks": sorted(tuple(row) for row in database.execute("SELECT * FROM chunks")),
            "nested": sorted(row[0] for row in database.execute("SELECT path FROM nested_catalogs")),
            "statistics": {row[0]: row[1] for row in database.execute("SELECT counter, value FROM statistics")},
            "properties": {
                key: value
                for key, value in database.execute("SELECT key, value FROM properties")
                if key in (b"schema", b"schema_revision", b"root_prefix", b"TTL")
            },
            "page_size": database.execute("PRAGMA page_size").fetchone()[0],
            "schema": {row[0] for row in database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")},
        }
    finally:
        database.close()


def normalised(rows: list[Row]) -> dict[tuple[int, int], Row]:
    """Rows by path, hard link group numbers as the set of names, which is all that they mean."""
    groups = defaultdict(set)
    for row in rows:
        groups[row["hardlinks"] >> 32].add(row["name"])
    for row in rows:
        group = row["hardlinks"] >> 32
        row["group"] = groups[group] if group else None
        row["hardlinks"] &= 0xFFFFFFFF
        row["mtimens"] = row["mtimens"] or 0  # what was published before the switch was turned on has NULL
    return {(row.pop("md5path_1"), row.pop("md5path_2")): row for row in rows}


def needs_root(repository: Golden) -> None:
    if os.geteuid() != 0 and any(row.type in "bc" or not row.mode & stat.S_IRUSR for row in repository.rows):
        pytest.skip("devices and files that their owner may not read can only be made and read by root")


@pytest.mark.parametrize("compressor", list(Compressor))
@pytest.mark.parametrize("name", NAMES)
def test_a_golden_repository_published_again_has_the_same_catalogs(name, compressor, tmp_path):
    repository = golden(name)
    needs_root(repository)
    with (
        open_revision(repository.served, tmp_path) as theirs,
        publish_again(repository, tmp_path, compressor) as ours,
    ):
        expected, found = catalogs(theirs, tmp_path), catalogs(ours, tmp_path)
    same_contents = IS_ZLIB_ITSELF and (compressor is Compressor.ZLIB or name == "none")
    assert found.keys() == expected.keys()
    for mountpoint, golden_catalog in expected.items():
        compare(found[mountpoint], golden_catalog, same_contents=same_contents)


def only_tarballs_have(column: str, row: Row) -> bool:
    """What the original's `ingest` makes of tar headers, and no directory can show: no owner, symlinks of size 0."""
    if column == "size":
        return stat.S_ISLNK(row["mode"]) and row["size"] == 0
    return column in ("uid", "gid") and row[column] == NO_OWNER


def compare(found: Catalog, expected: Catalog, *, same_contents: bool) -> None:
    ignored = set() if same_contents else {"hash"}
    if os.geteuid() != 0:
        ignored |= {"uid", "gid"}
    assert found["rows"].keys() == expected["rows"].keys()
    for key, row in expected["rows"].items():
        other = found["rows"][key]
        assert (other["hash"] is None) == (row["hash"] is None)
        for column, value in row.items():
            if column not in ignored and not only_tarballs_have(column, row):
                assert other[column] == value, (row["name"], column)
    width = 5 if same_contents else 4
    assert [row[:width] for row in found["chunks"]] == [row[:width] for row in expected["chunks"]]
    for part in ("nested", "statistics", "properties", "page_size", "schema"):
        assert found[part] == expected[part], part


def test_publishing_a_golden_tree_twice_changes_nothing(tmp_path):
    repository = golden("nested")
    with publish_again(repository, tmp_path, Compressor.LIBDEFLATE) as first:
        root = first.root
    outcome = Publisher(ServerLayout(tmp_path / "server")).publish(FQRN)
    assert not outcome.published
    assert outcome.root == root
    assert outcome.new_objects == 0
    assert isinstance(first.tree, CatalogTree)


def test_rules_give_the_catalogs_that_the_original_gave(tmp_path: Path) -> None:
    repository = golden("nested")
    theirs = settings.load(repository.path / "server.conf")
    layout = ServerLayout(tmp_path / "server")
    places = create_repository(layout, FQRN, CreateOptions(xattrs=theirs.xattrs, weights=None))
    with open_revision(repository.served, tmp_path) as revision:
        expected = mountpoints(revision)
        materialise(revision, places.worktree)
    rules = dirtab.parse((places.worktree / ".cvmfsdirtab").read_bytes())
    by_rules = [path for path in expected if rules.fits(path)]
    assert len(by_rules) > 10
    for path in by_rules:  # what remains are those that were made by hand
        (places.worktree / os.fsdecode(path[1:]) / ".cvmfscatalog").unlink()
    Publisher(layout).publish(FQRN)
    with open_revision(places.storage, tmp_path) as revision:
        assert mountpoints(revision) == expected


def mountpoints(revision: Revision) -> list[bytes]:
    found: list[bytes] = []
    waiting = [b""]
    while waiting:
        below = [ref.path for ref in revision.tree.find(waiting.pop()).nested()]
        found += below
        waiting += below
    return sorted(found)
