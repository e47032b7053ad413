"""What every ObjectStore does. Subclass it in a test module and say what the store is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest

from swrepo.errors import CorruptObject
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.objects.store import ObjectStore

STORED = b"stored bytes"


class ObjectStoreContract:
    """`store` is one that holds nothing yet."""

    @pytest.fixture
    def store(self) -> ObjectStore:
        raise NotImplementedError

    def test_has_what_was_put_and_nothing_else(self, store: ObjectStore) -> None:
        object_id = ObjectId.of(STORED)
        assert not store.has(object_id)
        store.put(object_id, STORED)
        assert store.has(object_id)
        assert not store.has(object_id.with_kind(Kind.PARTIAL))

    def test_lists_every_object_once(self, store: ObjectStore) -> None:
        names = {ObjectId.of(STORED, algorithm, kind) for algorithm in Algorithm for kind in Kind}
        for object_id in names:
            store.put(object_id, STORED)
        listed = list(store.list())
        assert len(listed) == len(names)
        assert set(listed) == names

    def test_takes_bytes_and_files(self, store: ObjectStore) -> None:
        large = bytes(range(256)) * 10_000
        for stored in (b"", STORED, large):
            store.put(ObjectId.of(stored), stored)
            store.put(ObjectId.of(stored, kind=Kind.CATALOG), BytesIO(stored))
        assert len(list(store.list())) == 6

    def test_putting_again_is_no_error(self, store: ObjectStore) -> None:
        store.put(ObjectId.of(STORED), STORED)
        store.put(ObjectId.of(STORED), STORED)
        assert list(store.list()) == [ObjectId.of(STORED)]

    def test_refuses_bytes_under_a_name_that_is_not_theirs(self, store: ObjectStore) -> None:
        object_id = ObjectId.of(STORED)
        for wrong in (b"other bytes", b"", STORED + b"\0", STORED[:-1]):
            with pytest.raises(CorruptObject, match=object_id.name):
                store.put(object_id, wrong)
            assert not store.has(object_id)
            assert list(store.list()) == []

    def test_forgets_what_was_deleted(self, store: ObjectStore) -> None:
        kept, gone = ObjectId.of(b"kept"), ObjectId.of(b"gone")
        store.put(kept, b"kept")
        store.put(gone, b"gone")
        store.delete(gone)
        store.delete(gone)
        assert not store.has(gone)
        assert list(store.list()) == [kept]
        store.put(gone, b"gone")
        assert store.has(gone)

    def test_takes_objects_from_many_threads_the_same_ones_too(self, store: ObjectStore) -> None:
        contents = [f"object {number % 25}".encode() for number in range(100)]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda stored: store.put(ObjectId.of(stored), stored), contents))
        assert set(store.list()) == {ObjectId.of(stored) for stored in contents}
