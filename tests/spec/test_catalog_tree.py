"""Which catalog answers: nested ones loaded when they are needed, planted ones, and trees that cannot be."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.tree import CatalogTree
from swrepo.errors import FormatError, ObjectNotFound
from swrepo.format.dirent import Dirent
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from tests.trees import directory, file, write_catalog


def name_of(number: int) -> ObjectId:
    return ObjectId(Algorithm.SHA1, bytes([number]) * 20, Kind.CATALOG)


class Catalogs:
    """Catalog files by name, and a record of those that were loaded."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._files: dict[ObjectId, Path] = {}
        self.loaded: list[bytes] = []

    def add(self, number: int, entries: dict[bytes, Dirent], **options: object) -> ObjectId:
        path = write_catalog(self._scratch / f"{number}.db", entries, **options)  # type: ignore[arg-type]
        self._files[name_of(number)] = path
        return name_of(number)

    def load(self, ref: NestedRef) -> CatalogFile:
        if ref.id not in self._files:
            raise ObjectNotFound(f"no catalog {ref.id}")
        self.loaded.append(ref.path)
        return CatalogFile.open(self._files[ref.id], ref.path)

    def tree(self, number: int = 0, load: Callable[[NestedRef], CatalogFile] | None = None) -> CatalogTree:
        root = self.load(NestedRef(b"", name_of(number), None))
        self.loaded.clear()
        return CatalogTree(root, load or self.load)


@pytest.fixture
def catalogs(tmp_path: Path) -> Catalogs:
    return Catalogs(tmp_path)


@pytest.fixture
def three(catalogs: Catalogs) -> Catalogs:
    """/a and /a/b/c are nested, the latter in the former; /ab is not."""
    catalogs.add(
        0, {b"/a": directory(), b"/ab": directory(), b"/ab/f": file()}, nested=(NestedRef(b"/a", name_of(1), None),)
    )
    catalogs.add(
        1,
        {b"/a/b": directory(), b"/a/b/c": directory(), b"/a/f": file(b"1")},
        prefix=b"/a",
        nested=(NestedRef(b"/a/b/c", name_of(2), None),),
    )
    catalogs.add(2, {b"/a/b/c/deep": file(b"22")}, prefix=b"/a/b/c")
    return catalogs


def test_a_path_is_answered_by_the_catalog_below_whose_mountpoint_it_lies(three: Catalogs) -> None:
    tree = three.tree()
    found = tree.lookup(b"/a/b/c/deep")
    assert found is not None
    assert found.size == 2
    assert three.loaded == [b"/a", b"/a/b/c"]
    assert tree.find(b"/a/b").mountpoint == b"/a"
    assert tree.find(b"/ab/f").mountpoint == b""
    assert [catalog.mountpoint for catalog in tree.loaded()] == [b"", b"/a", b"/a/b/c"]


def test_looking_at_a_mountpoint_loads_nothing_and_answers_from_the_upper_catalog(three: Catalogs) -> None:
    tree = three.tree()
    before = tree.lookup(b"/a")
    assert before is not None
    assert before.is_nested_mountpoint
    assert [entry.name for entry in tree.listing(b"")] == [b"a", b"ab"]
    assert three.loaded == []
    assert [entry.name for entry in tree.listing(b"/a")] == [b"b", b"f"]
    assert tree.lookup(b"/a") == before
    assert tree.holder(b"/a").mountpoint == b""


def test_without_fetching_it_is_told_whether_a_catalog_is_here(three: Catalogs) -> None:
    tree = three.tree()
    assert tree.find_loaded(b"/a/f") is None
    assert tree.find_loaded(b"/ab/f") is tree.root
    tree.find(b"/a/f")
    assert tree.find_loaded(b"/a/f") is tree.find(b"/a")


def test_what_is_mounted_is_told(three: Catalogs) -> None:
    tree = three.tree()
    assert tree.mounted(b"/a/b/c") == NestedRef(b"/a/b/c", name_of(2), None)
    assert tree.mounted(b"/ab") is None
    assert tree.mounted(b"") is None


def test_a_catalog_that_cannot_be_loaded_is_tried_again_the_next_time(three: Catalogs) -> None:
    answers = [False, True]

    def load(ref: NestedRef) -> CatalogFile:
        if not answers.pop(0):
            raise ObjectNotFound("the server is away")
        return three.load(ref)

    tree = three.tree(load=load)
    with pytest.raises(ObjectNotFound):
        tree.lookup(b"/a/f")
    assert tree.lookup(b"/a/f") is not None


def test_a_catalog_is_loaded_once_however_many_threads_ask(three: Catalogs) -> None:
    both_asked = threading.Barrier(4)
    tree = three.tree()
    found: list[Dirent | None] = []

    def ask() -> None:
        both_asked.wait(10)
        found.append(tree.lookup(b"/a/b/c/deep"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry and entry.name for entry in found] == [b"deep"] * 4
    assert sorted(three.loaded) == [b"/a", b"/a/b/c"]


def test_different_catalogs_are_loaded_at_the_same_time(catalogs: Catalogs) -> None:
    nested = (NestedRef(b"/a", name_of(1), None), NestedRef(b"/b", name_of(2), None))
    catalogs.add(0, {b"/a": directory(), b"/b": directory()}, nested=nested)
    catalogs.add(1, {}, prefix=b"/a")
    catalogs.add(2, {}, prefix=b"/b")
    both_are_loading = threading.Barrier(2)

    def load(ref: NestedRef) -> CatalogFile:
        both_are_loading.wait(10)
        return catalogs.load(ref)

    tree = catalogs.tree(load=load)
    threads = [threading.Thread(target=tree.listing, args=(path,)) for path in (b"/a", b"/b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(catalogs.loaded) == [b"/a", b"/b"]


def test_a_forgotten_catalog_is_loaded_again_and_who_holds_it_can_still_read(three: Catalogs) -> None:
    tree = three.tree()
    held = tree.find(b"/a/b/c")
    tree.forget(b"/a")
    assert [catalog.mountpoint for catalog in tree.loaded()] == [b""]
    assert held.lookup(b"/a/b/c/deep") is not None
    assert tree.lookup(b"/a/b/c/deep") is not None
    assert three.loaded == [b"/a", b"/a/b/c", b"/a", b"/a/b/c"]
    tree.forget(b"")
    tree.forget(b"/nowhere")
    assert tree.find_loaded(b"/a/b/c/deep") is not None


def test_a_forgotten_catalog_is_closed_as_soon_as_nobody_holds_it(three: Catalogs) -> None:
    tree = three.tree()
    before = len(os.listdir("/proc/self/fd"))
    tree.find(b"/a/b/c")
    assert len(os.listdir("/proc/self/fd")) == before + 2
    tree.forget(b"/a")
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_older_root_catalog_can_be_planted_with_all_that_is_nested_in_it(three: Catalogs) -> None:
    three.add(
        10,
        {b"/.cvmfs": directory(flags=0x8001), b"/.cvmfs/v1": directory()},
        nested=(NestedRef(b"/.cvmfs/v1", name_of(0), None, is_bind=True),),
    )
    tree = three.tree(10)
    found = tree.lookup(b"/.cvmfs/v1/a/b/c/deep")
    assert found is not None
    assert found.size == 2
    assert three.loaded == [b"/.cvmfs/v1", b"/.cvmfs/v1/a", b"/.cvmfs/v1/a/b/c"]
    assert [entry.name for entry in tree.listing(b"/.cvmfs/v1/a/b")] == [b"c"]
    assert tree.listing(b"") == []
    assert tree.find(b"/.cvmfs/v1/a/b/c").mountpoint == b"/.cvmfs/v1/a/b/c"


def test_a_nested_catalog_of_another_place_is_refused(catalogs: Catalogs) -> None:
    catalogs.add(0, {b"/a": directory()}, nested=(NestedRef(b"/a", name_of(1), None),))
    catalogs.add(1, {}, prefix=b"/b")
    tree = catalogs.tree()
    with pytest.raises(FormatError, match="cannot be mounted"):
        tree.listing(b"/a")
    assert tree.lookup(b"/a") is not None


def test_a_catalog_nested_in_itself_is_refused(catalogs: Catalogs) -> None:
    catalogs.add(0, {b"/a": directory()}, nested=(NestedRef(b"/a", name_of(0), None),))
    tree = catalogs.tree()
    with pytest.raises(FormatError, match="cannot be mounted"):
        tree.listing(b"/a/a")


def test_a_root_catalog_planted_in_itself_ends_in_an_error_and_not_in_a_hang(catalogs: Catalogs) -> None:
    catalogs.add(0, {b"/a": directory()}, nested=(NestedRef(b"/a", name_of(0), None, is_bind=True),))
    tree = catalogs.tree()
    assert tree.lookup(b"/a/a/a") is not None
    with pytest.raises(FormatError, match="above one another"):
        tree.lookup(b"/a" * 1000)
    tree.close()
