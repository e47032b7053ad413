"""Any tree written as a catalog is read back equal; any bytes as a database are read or refused, never worse."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from swrepo.catalog.counters import Counters
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.writer import CatalogWriter
from swrepo.errors import FormatError
from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.paths import join, path_key
from swrepo.repository.history import HistoryFile, HistoryWriter
from swrepo.repository.reflog import ReflogFile, ReflogWriter
from tests.trees import chunked, directory, entry, file, stored_id

NAMES = st.binary(min_size=1, max_size=12).filter(lambda name: name not in (b".", b"..") and not {0, 47} & set(name))
SECONDS = st.integers(-(1 << 40), 1 << 40)
IDS = st.integers(0, (1 << 32) - 1)
DIGESTS = st.binary(min_size=20, max_size=20)
XATTRS = st.none() | st.binary(min_size=1, max_size=300)

FILES = st.builds(
    entry,
    mode=st.integers(0, 0o7777).map(lambda mode: 0o100000 | mode),
    size=st.integers(0, 1 << 50),
    mtime=SECONDS,
    mtime_ns=st.none() | st.integers(0, 999_999_999),
    uid=IDS,
    gid=IDS,
    hardlinks=st.integers(1, 1 << 40),
    digest=DIGESTS,
    xattr_blob=XATTRS,
    flags=st.sampled_from([4, 4 | 0x100, 4 | 0x200, 4 | 2048, 4 | 128, 4 | 0x10000, 4 | 0x8000]),
)
LINKS = st.builds(entry, mode=st.just(0o120777), flags=st.just(12), symlink=st.binary(max_size=40), mtime=SECONDS)
SPECIALS = st.builds(entry, mode=st.sampled_from([0o010644, 0o020666, 0o140600]), flags=st.just(20), size=IDS)
DIRECTORIES = st.builds(directory, links=st.integers(2, 100), uid=IDS, gid=IDS, mtime=SECONDS, xattr_blob=XATTRS)
CHUNKS = st.lists(st.tuples(st.integers(1, 1 << 30), DIGESTS), min_size=2, max_size=4)

Tree = dict[bytes, tuple[Dirent, tuple[Chunk, ...]]]


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Up to 30 entries below a root, each in a directory that is there."""
    tree: Tree = {}
    places = [b""]
    for _ in range(draw(st.integers(0, 30))):
        path = join(draw(st.sampled_from(places)), draw(NAMES))
        if path in tree:
            continue
        kind = draw(st.sampled_from("fldsc"))
        chunks: tuple[Chunk, ...] = ()
        if kind == "c":
            parts, offset = [], 0
            for size, digest in draw(CHUNKS):
                parts.append(Chunk(offset, size, digest))
                offset += size
            chunks, plain = tuple(parts), chunked(offset)
        else:
            plain = draw({"f": FILES, "l": LINKS, "d": DIRECTORIES, "s": SPECIALS}[kind])
        if kind == "d":
            places.append(path)
        tree[path] = (plain._replace(name=path.rpartition(b"/")[2]), chunks)
    return tree


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def as_written(catalog: CatalogFile, path: bytes) -> Dirent | None:
    found = catalog.lookup(path)
    return found and found._replace(rowid=0)


@settings(max_examples=60, deadline=None)
@given(trees())
def test_any_tree_that_is_written_is_read_back_equal(tree: Tree) -> None:
    with scratch() as place:
        writer = CatalogWriter.create(place / "c", directory())
        for path, (plain, chunks) in tree.items():
            writer.add(path, plain, chunks)
        writer.finish({})
        catalog = CatalogFile.open(place / "c")
        own = Counters(dir=1)
        for path, (plain, chunks) in tree.items():
            assert as_written(catalog, path) == plain
            assert catalog.chunks(path) == chunks
            own += Counters.of_entry(plain, len(chunks))
        assert catalog.counters().own == own
        for path in [b"", *tree]:
            expected = [inner for inner in tree if inner.rpartition(b"/")[0] == path]
            assert [join(path, found.name) for found in catalog.listing(path, hidden=True)] == expected
        assert {key for _, key, _ in catalog.entries()} == {path_key(path) for path in [b"", *tree]}
        catalog.close()


@settings(max_examples=60, deadline=None)
@given(trees(), trees(), st.randoms(use_true_random=False))
def test_a_catalog_that_is_edited_is_as_if_it_had_been_written_so(old: Tree, new: Tree, random: object) -> None:
    """Put everything of `new` over `old`, and take away what is not in it."""
    with scratch() as place:
        writer = CatalogWriter.create(place / "old", directory())
        for path, (plain, chunks) in old.items():
            writer.add(path, plain, chunks)
        writer.finish({})
        before = CatalogFile.open(place / "old")
        writer = CatalogWriter.edit(before, place / "new")
        for path in sorted(old, reverse=True):
            if path not in new and writer.lookup(path) is not None:
                writer.remove(path)
        for path, (plain, chunks) in new.items():
            writer.put(path, plain, chunks)
        writer.finish({})
        after = CatalogFile.open(place / "new")
        # A directory of `old` that became a file in `new` would leave orphans: there are none, it was put after removal.
        assert {path: as_written(after, path) for path in new} == {path: plain for path, (plain, _) in new.items()}
        assert {path: after.chunks(path) for path in new} == {path: chunks for path, (_, chunks) in new.items()}
        assert after.counters().own.entries == 1 + len(new)
        before.close()
        after.close()


@cache
def specimens() -> tuple[bytes, ...]:
    """A sound catalog, tag database and reference log, as bytes."""
    with scratch() as place:
        writer = CatalogWriter.create(place / "c", directory())
        writer.add(b"/d", directory())
        for number in range(60):
            writer.add(b"/d/f%d" % number, file(b"x" * number, group=number % 3, links=2))
        writer.add(b"/big", chunked(3), [Chunk(0, 1, b"a" * 20), Chunk(1, 2, b"b" * 20)])
        writer.finish({"revision": "1"})
        history = HistoryWriter(place / "h", "test.example.org")
        history.advance(stored_id(b"r"), 1, 1, 1)
        history.finish()
        reflog = ReflogWriter(place / "r", "test.example.org")
        reflog.finish()
        return tuple((place / name).read_bytes() for name in "chr")


def read_all(path: Path) -> None:
    """Everything that can be asked of a database, as each of the three kinds."""
    for opener in (read_catalog, read_history, read_reflog):
        try:
            opener(path)
        except FormatError:
            continue


def read_catalog(path: Path) -> None:
    catalog = CatalogFile.open(path)
    try:
        for found, key, _ in catalog.entries():
            catalog.chunks(key)
            catalog.hardlink_leader(found.hardlink_group)
            catalog.by_rowid(found.rowid)
        list(catalog.all_chunks())
        catalog.listing(b"")
        catalog.listing(b"/d")
        assert catalog.counters() is not None
        assert catalog.max_rowid >= 0
        catalog.nested()
    finally:
        catalog.close()


def read_history(path: Path) -> None:
    history = HistoryFile.open(path)
    try:
        history.tags()
        history.branches()
    finally:
        history.close()


def read_reflog(path: Path) -> None:
    reflog = ReflogFile.open(path)
    try:
        reflog.references()
    finally:
        reflog.close()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_database_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(specimens()[data.draw(st.integers(0, 2))])
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(raw) - 1))
        raw[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(raw)))
    with scratch() as place:
        (place / "x").write_bytes(raw[:cut])
        read_all(place / "x")


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=3000), st.booleans())
def test_any_bytes_are_refused(raw: bytes, with_magic: bool) -> None:
    with scratch() as place:
        (place / "x").write_bytes((b"SQLite format 3\0" if with_magic else b"") + raw)
        for opener in (CatalogFile.open, HistoryFile.open, ReflogFile.open):
            try:
                opener(place / "x")
            except FormatError:
                continue
            raise AssertionError(opener)
