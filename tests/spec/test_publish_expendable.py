"""publish.expendable: what only saves time never ends a publication, and never makes it wrong."""

from __future__ import annotations

import resource
import signal
import sqlite3
from pathlib import Path

import pytest

from swrepo.catalog.scratch import Scratch
from swrepo.errors import CacheFull
from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk
from swrepo.format.object_id import Kind
from swrepo.publish.changes import Identity
from swrepo.publish.encoder import Encoder
from swrepo.publish.known_contents import KnownContents
from swrepo.publish.staged import Content, Staged

FILE = Identity(1, 2, 3, 4, 5)
OTHER = Identity(1, 3, 3, 4, 5)
STORED = Content(b"d" * 20, (), 4)
LATER = 10**12


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "staged.db"


def staged(file: Path, signature: str = "zlib") -> Staged:
    return Staged(file, signature, lambda: LATER)


def remember(file: Path, *identities: Identity) -> None:
    found = staged(file)
    for identity in identities:
        found.add(identity, STORED, LATER)
        found.note(identity, Chunk(0, 7, b"c" * 20), LATER)
    found.close()


def edit(file: Path, statement: str) -> None:
    database = sqlite3.connect(file)
    assert database.execute(statement).rowcount > 0
    database.commit()
    database.close()


def test_what_was_stored_is_found_by_the_next_one(file):
    remember(file, FILE)
    found = staged(file)
    assert found.find(FILE) == STORED
    assert found.find(OTHER) is None
    assert found.begun(FILE) == (Chunk(0, 7, b"c" * 20),)
    found.close()
    other_way = staged(file, "none")
    assert other_way.find(FILE) is None
    other_way.close()


@pytest.mark.parametrize("change", ["digest = x'65'", "inode = 3", "flags = 5", "ctime_ns = 6"])
def test_half_a_row_is_not_believed(file, change):
    remember(file, FILE)
    edit(file, f"UPDATE contents SET {change}")
    found = staged(file)
    assert [found.find(FILE._replace(**part)) for part in ({}, {"inode": 3}, {"ctime_ns": 6})] == [None] * 3
    found.close()


def test_half_a_chunk_is_not_believed(file):
    remember(file, FILE)
    edit(file, "UPDATE pieces SET length = 8")
    found = staged(file)
    assert found.begun(FILE) == ()
    found.close()


@pytest.mark.parametrize("kept", [0, 100, 5000, 20_000])
def test_a_damaged_file_is_forgotten_whenever_that_is_found(file, kept):
    remember(file, *(Identity(1, number, 3, 4, 5) for number in range(1000)))
    data = file.read_bytes()
    file.write_bytes(data[:kept] + b"\xff" * (len(data) - kept))
    found = staged(file)
    assert {found.find(Identity(1, number, 3, 4, 5)) for number in range(1000)} <= {None, STORED}
    found.add(OTHER, STORED, LATER)
    found.close()
    found = staged(file)  # and the next one has a sound file, or what could be read
    found.find(OTHER)
    found.discard()
    assert not file.exists()


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path):
    file = tmp_path / "not there" / "staged.db"
    remember(file, FILE)
    found = staged(file)
    assert found.find(FILE) is None
    found.close()


def test_half_a_row_of_contents_is_not_believed(tmp_path):
    file, key = (
        tmp_path / "contents.db",
        KnownContents.key(b"plain", Encoder(compression=Compression.ZLIB), Kind.PARTIAL),
    )
    known = KnownContents(file, "zlib")
    known.add(key, b"d" * 20)
    known.close()
    known = KnownContents(file, "zlib")
    assert known.find(key) == b"d" * 20
    known.close()
    edit(file, "UPDATE contents SET digest = x'65'")
    known = KnownContents(file, "zlib")
    assert known.find(key) is None
    known.close()


def test_a_full_disk_is_called_so_when_sqlite_meets_it(tmp_path):
    scratch = Scratch(tmp_path / "catalog", "a catalog")
    scratch.execute("PRAGMA max_page_count = 8")
    scratch.execute("CREATE TABLE t (content BLOB)")
    with pytest.raises(CacheFull, match="no room to write a catalog"):
        scratch.execute_many("INSERT INTO t VALUES (?)", [(b"x" * 1000,)] * 20)
    scratch.discard()


def test_a_full_disk_is_called_so_while_pages_are_copied(tmp_path):
    source = sqlite3.connect(":memory:")
    source.execute("CREATE TABLE t AS SELECT randomblob(1000000)")
    source.commit()
    scratch = Scratch(tmp_path / "catalog", "a catalog")
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(Exception, match="a catalog to"):
            scratch.fill(source.backup)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    scratch.discard()
    source.close()
