"""Objects that nobody uses go from a storage."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from swrepo.errors import PublishError, SwrepoError
from swrepo.format.object_id import Algorithm, ObjectId
from swrepo.objects.directory import DirectoryObjects
from swrepo.publish.storage import Storage
from swrepo.upkeep.removing import Removal


class Watched(DirectoryObjects):
    """Notes what is deleted, in order. `fault` is raised by the deletion of `at`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.create()
        self.events: list[tuple[str, ObjectId]] = []
        self.at: ObjectId | None = None
        self.fault: SwrepoError | None = None
        self._lock = threading.Lock()
        self.stored_objects = self.stored_bytes = 0

    def delete(self, object_id: ObjectId) -> None:
        if object_id == self.at and self.fault is not None:
            raise self.fault
        with self._lock:
            self.events.append(("gone", object_id))
        super().delete(object_id)

    def flush(self) -> None:
        """Nothing waits here."""


@pytest.fixture
def store(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def stored(store: Watched, count: int) -> list[ObjectId]:
    names = []
    for number in range(count):
        data = b"%d" % number
        names.append(ObjectId.of(data, Algorithm.SHA1))
        (store.root / names[-1].path).write_bytes(data)  # no sync for each
    return names


def removal(store: Watched, *, dry_run: bool = False) -> Removal:
    told = lambda name, _: store.events.append(("told", name))  # noqa: E731
    return Removal(Storage(store, store, store), told, dry_run)


def test_each_of_many_objects_is_told_of_once_and_before_it_goes(store: Watched) -> None:
    names = stored(store, 1200)
    work = removal(store)
    work.in_any_order(iter(names))
    assert list(store.list()) == []
    assert (work.count, work.size) == (1200, sum(len(b"%d" % number) for number in range(1200)))
    told = [at for at, (what, _) in enumerate(store.events) if what == "told"]
    assert [store.events[at][1] for at in told] == names
    first = {}
    for what, name in store.events:
        first.setdefault(name, what)
    assert set(first.values()) == {"told"}


def test_those_with_an_order_go_one_after_another(store: Watched) -> None:
    names = stored(store, 100)
    removal(store).in_order(names)
    assert store.events == [event for name in names for event in (("told", name), ("gone", name))]


def test_what_is_gone_already_is_neither_told_of_nor_counted(store: Watched) -> None:
    names = stored(store, 3)
    store.delete(names[1])
    work = removal(store)
    work.in_any_order(names)
    assert work.count == 2
    assert ("told", names[1]) not in store.events


def test_a_dry_run_removes_nothing(store: Watched) -> None:
    names = stored(store, 3)
    work = removal(store, dry_run=True)
    work.in_any_order(names[:2])
    work.in_order(names[2:])
    assert work.count == 3
    assert set(store.list()) == set(names)


def test_what_the_storage_raises_ends_the_removal(store: Watched) -> None:
    names = stored(store, 600)
    store.at, store.fault = names[5], PublishError("no")
    with pytest.raises(PublishError):
        removal(store).in_any_order(names)
    assert names[5] in set(store.list())
    assert names[-1] in set(store.list())  # of a later round
