"""Directories in which much is looked up are remembered whole, and say the same as the catalog."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from swrepo.catalog.directories import Directories
from swrepo.catalog.reader import CatalogFile
from swrepo.format.dirent import Dirent, Flag
from tests.trees import directory, file, write_catalog


class Counted:
    """A catalog that notes what it is asked for."""

    def __init__(self, catalog: CatalogFile) -> None:
        self.mountpoint = catalog.mountpoint
        self.catalog = catalog
        self.listed: list[bytes] = []
        self.sized: list[bytes] = []

    def listing(self, path: bytes, *, hidden: bool) -> list[Dirent]:
        self.listed.append(path)
        return self.catalog.listing(path, hidden=hidden)

    def size(self, path: bytes, at_most: int) -> int:
        self.sized.append(path)
        return self.catalog.size(path, at_most)


Make = Callable[..., CatalogFile]


@pytest.fixture
def make(tmp_path: Path):
    made: list[CatalogFile] = []

    def make(sizes: dict[bytes, int], more: dict[bytes, Dirent] | None = None) -> CatalogFile:
        entries = {path: directory() for path in sizes}
        for path, size in sizes.items():
            entries |= {b"%s/f%d" % (path, number): file() for number in range(size)}
        made.append(CatalogFile.open(write_catalog(tmp_path / f"{len(made)}.db", entries | (more or {}))))
        return made[-1]

    yield make
    for catalog in made:
        catalog.close()


def test_few_look_ups_cost_nothing_more(make: Make) -> None:
    catalog, memory = Counted(make({b"/d": 3})), Directories()
    for _ in range(8):
        assert memory.entries(b"/d", catalog) is None
    assert catalog.listed == catalog.sized == []


def test_a_small_directory_is_remembered_after_a_few(make: Make) -> None:
    catalog, memory = Counted(make({b"/d": 3})), Directories()
    found = [memory.entries(b"/d", catalog) for _ in range(20)][-1]
    assert found is not None
    assert sorted(found) == [b"f0", b"f1", b"f2"]
    assert (catalog.listed, catalog.sized) == ([b"/d"], [b"/d"])


def test_a_larger_one_after_a_quarter_of_its_entries(make: Make) -> None:
    catalog, memory = Counted(make({b"/d": 400})), Directories()
    asked = 0
    while memory.entries(b"/d", catalog) is None:
        asked += 1
    assert 95 <= asked <= 105
    assert (catalog.listed, catalog.sized) == ([b"/d"], [b"/d"])


def test_a_huge_one_never(make: Make) -> None:
    catalog, memory = Counted(make({b"/d": 4097})), Directories()
    assert all(memory.entries(b"/d", catalog) is None for _ in range(10000))
    assert (catalog.listed, catalog.sized) == ([], [b"/d"])


def test_only_so_many_entries_are_remembered_the_newest(make: Make) -> None:
    sizes = {b"/d%d" % number: 100 for number in range(10)}
    catalog, memory = Counted(make(sizes)), Directories(most_entries=850)
    for path in sizes:
        while memory.entries(path, catalog) is None:
            pass
        assert memory._entries == sum(len(found) for _, found in memory._known.values()) <= 850
    assert memory.entries(b"/d9", catalog) is not None
    assert memory.entries(b"/d1", catalog) is None


def test_directories_that_do_not_all_fit_are_not_listed_again_and_again(make: Make) -> None:
    sizes = {b"/d%d" % number: 100 for number in range(10)}
    catalog, memory = Counted(make(sizes)), Directories(most_entries=850)
    rounds = 1000
    for _ in range(rounds):
        for path in sizes:
            memory.entries(path, catalog)
    assert len(catalog.listed) * 100 <= 4 * rounds * len(sizes)


def test_looking_up_says_the_same_before_and_after(make: Make) -> None:
    hidden = file()._replace(flags=file().flags | Flag.HIDDEN)
    catalog = make({b"/d": 30, b"/d/sub": 2}, {b"/d/hidden": hidden})
    names = [b"/d/f%d" % number for number in range(40)] + [b"/d/sub", b"/d/hidden", b"/d/", b"/d/f1/x", b"/d/sub/f1"]
    before = [catalog.lookup(name) for name in names]
    catalog.remember_in(Directories())
    for _ in range(5):
        assert [catalog.lookup(name) for name in names] == before
    assert before.count(None) == 12


def test_the_root_has_its_own_entry(make: Make) -> None:
    catalog = make({b"/d": 1})
    before = catalog.lookup(b"")
    catalog.remember_in(Directories())
    assert [catalog.lookup(b"") for _ in range(30)] == [before] * 30
    assert before is not None


def test_what_lies_in_another_catalog_is_not_this_ones(make: Make) -> None:
    upper, lower, memory = Counted(make({b"/n": 0})), Counted(make({b"/n": 3})), Directories()
    lower.mountpoint = b"/n"
    while memory.entries(b"/n", lower) is None:
        pass
    assert not memory.entries(b"/n", upper)


def test_a_directory_that_cannot_be_listed_is_left_to_the_catalog(make: Make, tmp_path: Path) -> None:
    path = write_catalog(tmp_path / "damaged.db", {b"/d": directory(), b"/d/a": file(), b"/d/b": file()})
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE catalog SET name = 'a' WHERE name = 'b'")
    connection.close()
    catalog = CatalogFile.open(path)
    catalog.remember_in(Directories())
    assert all(catalog.lookup(b"/d/b") is not None for _ in range(30))
    catalog.close()
