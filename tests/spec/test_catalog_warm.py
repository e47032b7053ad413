"""Many catalogs, few connections: those that were not used lately are parked, and nobody notices."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from swrepo.catalog.database import Database
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.warm import Warm
from tests.trees import directory, file, write_catalog


class Shelf:
    """Catalogs that are opened by descriptor, as from a cache; their files may be removed."""

    def __init__(self, place: Path, warm: Warm) -> None:
        self._place = place
        self._warm = warm
        self.catalogs: list[CatalogFile] = []

    def add(self) -> CatalogFile:
        number = len(self.catalogs)
        path = write_catalog(self._place / f"{number}.db", {b"/d": directory(), b"/d/f%d" % number: file()})
        descriptor = os.open(path, os.O_RDONLY)
        try:
            catalog = CatalogFile.open(descriptor)
        finally:
            os.close(descriptor)
        catalog.keep_warm(self._warm)
        self.catalogs.append(catalog)
        return catalog

    def remove(self, number: int) -> None:
        (self._place / f"{number}.db").unlink()

    def open(self) -> list[int]:
        return [number for number, catalog in enumerate(self.catalogs) if database_of(catalog)._connection is not None]


def database_of(catalog: CatalogFile) -> Database:
    return catalog._database


def names(catalog: CatalogFile) -> list[bytes]:
    return [entry.name for entry in catalog.listing(b"/d")]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path, Warm(at_most=3))
    yield shelf
    for catalog in shelf.catalogs:
        catalog.close()


def test_only_so_many_are_open(shelf: Shelf) -> None:
    for _ in range(10):
        shelf.add()
        assert len(shelf.open()) <= 3


def test_a_parked_catalog_answers_as_before(shelf: Shelf) -> None:
    for _ in range(10):
        shelf.add()
    for _ in range(2):
        for number, catalog in enumerate(shelf.catalogs):
            assert names(catalog) == [b"f%d" % number]
            assert catalog.lookup(b"/d/f%d" % number) is not None
            assert len(shelf.open()) <= 3


def test_one_that_is_used_all_the_time_is_never_closed(shelf: Shelf) -> None:
    favourite = shelf.add()
    for _ in range(10):
        names(favourite)
        shelf.add()
        assert 0 in shelf.open()


def test_a_parked_catalog_outlives_its_file(shelf: Shelf) -> None:
    for _ in range(5):
        shelf.add()
    parked = next(number for number in range(5) if number not in shelf.open())
    shelf.remove(parked)
    assert names(shelf.catalogs[parked]) == [b"f%d" % parked]


def test_one_whose_statement_runs_is_left_open(shelf: Shelf) -> None:
    busy = database_of(shelf.add())
    with busy._lock:
        assert not busy.park()
        for _ in range(5):
            shelf.add()
        assert 0 in shelf.open()
    assert names(shelf.catalogs[0]) == [b"f0"]


def test_a_catalog_that_is_forgotten_is_not_kept_alive(shelf: Shelf) -> None:
    shelf.add()
    shelf.add()
    first = database_of(shelf.catalogs[0])
    descriptor = first._descriptor
    assert os.fstat(descriptor)
    del shelf.catalogs[0], first
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_catalogs_that_are_opened_by_their_names_stay_open(tmp_path: Path) -> None:
    path = write_catalog(tmp_path / "named.db", {b"/f": file()})
    database = Database.open(path, "a catalog")
    assert not database.park()
    database.close()


def test_threads_that_use_more_catalogs_than_may_be_open(shelf: Shelf) -> None:
    for _ in range(8):
        shelf.add()
    found: list[tuple[int, list[bytes]]] = []

    def read(start: int) -> None:
        for step in range(200):
            number = (start + step * 3) % 8
            found.append((number, names(shelf.catalogs[number])))

    threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 800
    assert all(listed == [b"f%d" % number] for number, listed in found)
