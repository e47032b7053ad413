"""Walking a revision and comparing two: order, nested catalogs, flat memory."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest

from swrepo.catalog.nested import NestedRef
from swrepo.catalog.writer import CatalogWriter
from swrepo.errors import PathNotFound
from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.object_id import Kind, ObjectId
from swrepo.repository.revision import Revision
from swrepo.repository.walk import Added, Changed, Removed, diff, walk
from tests.trees import MemoryObjects, chunked, directory, entry, file, put_catalog, symlink


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


class Publisher:
    """Makes revisions from dicts; a key of `nested` becomes a catalog of its own with the paths below it."""

    def __init__(self, objects: MemoryObjects, scratch: Path) -> None:
        self._objects = objects
        self._scratch = scratch

    def revision(self, entries: dict[bytes, Dirent], nested: tuple[bytes, ...] = ()) -> Revision:
        return Revision(self._publish(b"", entries, nested), self._objects)

    def _publish(self, prefix: bytes, entries: dict[bytes, Dirent], nested: tuple[bytes, ...]) -> ObjectId:
        mounts = [path for path in nested if path != prefix and path.startswith(prefix + b"/")]
        tops = [path for path in mounts if not any(path.startswith(other + b"/") for other in mounts)]
        refs = tuple(NestedRef(path, self._publish(path, entries, nested), None) for path in tops)
        own = {
            path: what
            for path, what in entries.items()
            if path.startswith(prefix + b"/") and not any(path.startswith(top + b"/") for top in tops)
        }
        return put_catalog(self._objects, self._scratch, own, prefix=prefix, nested=refs)


@pytest.fixture
def publisher(objects: MemoryObjects, tmp_path: Path) -> Publisher:
    return Publisher(objects, tmp_path)


TREE = {
    b"/b": directory(),
    b"/b/z": file(b"z"),
    b"/b/d": directory(),
    b"/b/d/e": file(b"e"),
    b"/b/a": symlink(b"z"),
    b"/a": file(b"a"),
    b"/b-c": file(b"bc"),
    b"/.hidden": entry(flags=0x8004),
}
ORDER = [b"", b"/a", b"/b", b"/b/a", b"/b/d", b"/b/d/e", b"/b/z", b"/b-c"]


@pytest.mark.parametrize("nested", [(), (b"/b",), (b"/b", b"/b/d"), (b"/b/d",)])
def test_a_walk_goes_down_in_the_order_of_names_wherever_catalogs_begin(
    nested: tuple[bytes, ...], publisher: Publisher
) -> None:
    revision = publisher.revision(TREE, nested)
    found = list(walk(revision))
    assert [path for path, _ in found] == ORDER
    assert all(entry.name == path.rpartition(b"/")[2] for path, entry in found)


def test_a_walk_can_begin_anywhere(publisher: Publisher) -> None:
    revision = publisher.revision(TREE, (b"/b",))
    assert [path for path, _ in walk(revision, b"/b/d")] == [b"/b/d", b"/b/d/e"]
    assert [path for path, _ in walk(revision, b"/a")] == [b"/a"]
    assert [path for path, _ in walk(revision, b"/.hidden")] == [b"/.hidden"]
    with pytest.raises(PathNotFound):
        list(walk(revision, b"/none"))


def test_a_walk_lets_go_of_the_catalogs_that_it_loaded_and_of_no_others(publisher: Publisher) -> None:
    nested = tuple(b"/d%d" % number for number in range(20))
    revision = publisher.revision({path: directory() for path in nested}, nested)
    revision.listing(b"/d3")
    most = 0
    for _ in walk(revision):
        most = max(most, len(revision.tree.loaded()))
    assert most <= 3
    assert [catalog.mountpoint for catalog in revision.tree.loaded()] == [b"", b"/d3"]


def test_a_tree_deeper_than_the_stack_of_python_is_walked(publisher: Publisher) -> None:
    entries, path = {}, b""
    for _ in range(1500):
        path += b"/d"
        entries[path] = directory()
    old = publisher.revision({})
    new = publisher.revision(entries)
    assert len(list(walk(new))) == 1501
    assert len(list(diff(old, new))) == 1500


def changes(old: Revision, new: Revision, path: bytes = b"", **options: bool) -> list[tuple[str, bytes]]:
    return [(type(change).__name__, change.path) for change in diff(old, new, path, **options)]


def test_the_same_revision_has_no_differences_and_loads_nothing(publisher: Publisher) -> None:
    revision = publisher.revision(TREE, (b"/b",))
    assert changes(revision, revision) == []
    assert len(revision.tree.loaded()) == 1


def test_what_was_added_removed_and_changed_is_told_in_order(publisher: Publisher) -> None:
    old = publisher.revision(TREE)
    new = publisher.revision({**TREE, b"/b/d/new": file(b"n"), b"/b/z": file(b"other"), b"/0": file()})
    del (fewer := dict(TREE))[b"/a"]
    assert changes(old, new) == [("Added", b"/0"), ("Added", b"/b/d/new"), ("Changed", b"/b/z")]
    assert changes(new, old) == [("Removed", b"/0"), ("Removed", b"/b/d/new"), ("Changed", b"/b/z")]
    assert changes(old, publisher.revision(fewer)) == [("Removed", b"/a")]
    assert changes(old, new, b"/b/d") == [("Added", b"/b/d/new")]
    with pytest.raises(PathNotFound):
        changes(old, new, b"/none")


def test_differences_carry_the_entries(publisher: Publisher) -> None:
    old = publisher.revision({b"/f": file(b"1"), b"/gone": file()})
    new = publisher.revision({b"/f": file(b"22"), b"/new": file(b"333")})
    changed, removed, added = diff(old, new)
    assert isinstance(changed, Changed)
    assert (changed.old.size, changed.new.size) == (1, 2)
    assert isinstance(removed, Removed)
    assert isinstance(added, Added)
    assert added.entry.size == 3


@pytest.mark.parametrize(
    "column", [{"mode": 0o100755}, {"mtime": 5}, {"mtime_ns": 5}, {"uid": 1}, {"gid": 1}, {"xattr_blob": b"x"}]
)
def test_metadata_alone_is_a_change(column: dict[str, object], publisher: Publisher) -> None:
    old = publisher.revision({b"/f": file(b"1")})
    new = publisher.revision({b"/f": file(b"1")._replace(**column)})
    assert changes(old, new) == [("Changed", b"/f")]


def test_other_rows_and_other_catalogs_are_no_change(publisher: Publisher) -> None:
    old = publisher.revision(TREE)
    new = publisher.revision(dict(reversed(TREE.items())), (b"/b", b"/b/d"))
    assert changes(old, new) == []
    assert changes(new, old) == []


def test_a_directory_that_became_a_file_loses_what_was_in_it(publisher: Publisher) -> None:
    old = publisher.revision({b"/d": directory(), b"/d/e": directory(), b"/d/e/f": file()})
    new = publisher.revision({b"/d": file()})
    assert changes(old, new) == [("Changed", b"/d"), ("Removed", b"/d/e"), ("Removed", b"/d/e/f")]
    assert changes(new, old) == [("Changed", b"/d"), ("Added", b"/d/e"), ("Added", b"/d/e/f")]
    assert changes(old, new, whole_trees=False) == [("Changed", b"/d")]
    assert changes(old, publisher.revision({}), whole_trees=False) == [("Removed", b"/d")]


def test_nested_catalogs_that_are_the_same_are_not_loaded(publisher: Publisher, objects: MemoryObjects) -> None:
    entries = {b"/a": directory(), b"/a/f": file(b"1"), b"/b": directory(), b"/b/f": file(b"1")}
    old = publisher.revision(entries, (b"/a", b"/b"))
    new = publisher.revision({**entries, b"/b/f": file(b"2")}, (b"/a", b"/b"))
    objects.opened.clear()
    assert changes(old, new) == [("Changed", b"/b/f")]
    assert len(objects.opened) == 2
    assert len(old.tree.loaded()) == len(new.tree.loaded()) == 1


def test_chunks_alone_can_tell_that_a_file_changed(objects: MemoryObjects, tmp_path: Path) -> None:
    trees = []
    for digest in (b"1" * 20, b"2" * 20, b"1" * 20):
        what: dict[bytes, Dirent] = {b"/big": (chunked(3), [Chunk(0, 3, digest)])}  # type: ignore[dict-item]
        root = put_catalog(objects, tmp_path, what, properties={"last_modified": str(len(trees))})
        trees.append(Revision(root, objects))
    assert changes(trees[0], trees[1]) == [("Changed", b"/big")]
    assert changes(trees[0], trees[2]) == []


def test_the_memory_of_a_walk_does_not_grow_with_the_tree(objects: MemoryObjects, tmp_path: Path) -> None:
    plain = file(b"x")
    writer = CatalogWriter.create(tmp_path / "wide.db", directory())
    for number in range(200):
        writer.add(b"/d%03d" % number, directory())
        for inner in range(250):
            writer.add(b"/d%03d/f%03d" % (number, inner), plain)
    writer.finish({})
    revision = Revision(objects.put((tmp_path / "wide.db").read_bytes(), Kind.CATALOG), objects)
    assert sum(1 for _ in walk(revision)) == 1 + 200 * 251
    tracemalloc.start()
    peaks = []
    for number, _ in enumerate(walk(revision)):
        if number % 10_000 == 9_999:
            peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert len(peaks) == 5
    assert all(later - earlier < 200_000 for earlier, later in pairwise(peaks[1:]))
    assert peaks[-1] < 2_000_000
