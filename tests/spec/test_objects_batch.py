"""objects.batch: objects get their names together, once all of them are durable."""

from __future__ import annotations

import errno
import threading
from io import BytesIO

import pytest

from swrepo.errors import CacheFull, CorruptObject, Unreachable
from swrepo.format.object_id import ObjectId
from swrepo.objects.batch import ObjectBatch
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.naming import name_all


@pytest.fixture
def directory(tmp_path):
    objects = DirectoryObjects(tmp_path)
    objects.create()
    return objects


def put(batch, *contents):
    for content in contents:
        batch.put(ObjectId.of(content), content)


def test_nothing_has_its_name_before_the_flush(directory):
    batch = ObjectBatch(directory.root, directory)
    put(batch, b"one", b"two")
    assert list(directory.list()) == []
    assert batch.has(ObjectId.of(b"one"))
    batch.flush()
    assert set(directory.list()) == {ObjectId.of(b"one"), ObjectId.of(b"two")}
    assert list((directory.root / "data/txn").iterdir()) == []


def test_only_new_objects_are_counted(directory):
    put(directory, b"known")
    batch = ObjectBatch(directory.root, directory)
    put(batch, b"known", b"new!", b"new!")
    batch.flush()
    assert (batch.stored_objects, batch.stored_bytes) == (1, 4)


def test_what_a_killed_predecessor_left_is_removed_and_other_files_are_not(directory):
    put(ObjectBatch(directory.root, directory), b"never flushed")
    other = directory.root / "data/txn/upload"
    other.touch()
    (directory.root / "data/txn/batch.7.1").touch()  # an older version's
    ObjectBatch(directory.root, directory)
    assert list((directory.root / "data/txn").iterdir()) == [other]
    assert list(directory.list()) == []


def test_the_sync_comes_before_the_names_and_once_more_after_them(directory):
    seen = []
    batch = ObjectBatch(directory.root, directory, lambda _: seen.append(len(list(directory.list()))) or True)
    put(batch, b"one", b"two", b"three")
    batch.flush()
    assert seen == [0, 3]
    batch.flush()
    assert seen == [0, 3]  # nothing waits, nothing is synced


def test_where_a_file_system_cannot_be_synced_files_are(directory):
    batch = ObjectBatch(directory.root, directory, lambda _: False)
    put(batch, b"one", b"two")
    batch.flush()
    assert set(directory.list()) == {ObjectId.of(b"one"), ObjectId.of(b"two")}


def test_a_disk_that_fills_up_while_syncing_names_nothing(directory):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    batch = ObjectBatch(directory.root, directory, full)
    put(batch, b"one")
    with pytest.raises(CacheFull, match="No space left"):
        batch.flush()
    assert list(directory.list()) == []


def test_directories_that_are_missing_are_made(directory):
    content = b"one"
    name = ObjectId.of(content)
    (directory.root / name.path).parent.rmdir()
    batch = ObjectBatch(directory.root, directory)
    put(batch, content)
    batch.flush()
    assert directory.has(name)


def test_others_put_while_one_flushes(directory):
    waiting = [b"two"]

    def sync(_):
        if waiting:
            thread = threading.Thread(target=put, args=(batch, waiting.pop()))
            thread.start()
            thread.join()  # would not end if it had to wait for the flush
            assert batch.has(ObjectId.of(b"one"))
            assert batch.has(ObjectId.of(b"two"))
        return True

    batch = ObjectBatch(directory.root, directory, sync)
    put(batch, b"one")
    batch.flush()
    assert set(directory.list()) == {ObjectId.of(b"one")}
    batch.flush()
    assert set(directory.list()) == {ObjectId.of(b"one"), ObjectId.of(b"two")}
    assert list((directory.root / "data/txn").iterdir()) == []


def test_what_could_not_be_flushed_is_flushed_later(directory):
    answers = [False, True, True]

    def sync(_):
        if not answers.pop(0):
            raise OSError(errno.ENOSPC, "No space left on device")
        return True

    batch = ObjectBatch(directory.root, directory, sync)
    put(batch, b"one")
    with pytest.raises(CacheFull):
        batch.flush()
    assert batch.has(ObjectId.of(b"one"))
    batch.flush()
    assert set(directory.list()) == {ObjectId.of(b"one")}


def test_bytes_of_another_name_are_not_stored(directory):
    batch = ObjectBatch(directory.root, directory)
    for wrong in (b"two", BytesIO(b"two")):
        with pytest.raises(CorruptObject, match="do not match this name"):
            batch.put(ObjectId.of(b"one"), wrong)
    batch.flush()
    assert list(directory.list()) == []
    assert list((directory.root / "data/txn").iterdir()) == []


class Elsewhere:
    """A Namer that does its work when it is waited for."""

    def __init__(self, directory):
        self.root = directory.root
        self.begun = []
        self.fails = False
        self.is_quick = False

    def begin(self, batch):
        assert not self.begun
        self.begun.append(dict(batch))

    def is_done(self):
        return self.is_quick

    def finish(self):
        batch = self.begun.pop()
        if self.fails:
            raise OSError(errno.ENOSPC, "No space left on device")
        name_all(self.root, batch)


def test_another_one_gives_names_while_more_is_put(directory):
    batch, namer = ObjectBatch(directory.root, directory), Elsewhere(directory)
    batch.delegate(namer)
    put(batch, b"one")
    batch.begin_flush()
    assert list(directory.list()) == []
    put(batch, b"one", b"two")
    assert batch.has(ObjectId.of(b"one"))
    assert batch.stored_objects == 2
    batch.begin_flush()  # one batch at a time
    assert set(directory.list()) == {ObjectId.of(b"one")}
    batch.flush()
    assert set(directory.list()) == {ObjectId.of(b"one"), ObjectId.of(b"two")}
    batch.begin_flush()
    assert namer.begun == []  # nothing waits


def test_what_another_one_could_not_name_is_an_error_of_whoever_asks_next_and_is_not_lost(directory):
    batch, namer = ObjectBatch(directory.root, directory), Elsewhere(directory)
    batch.delegate(namer)
    put(batch, b"one")
    batch.begin_flush()
    namer.fails = True
    put(batch, b"two")
    with pytest.raises(CacheFull, match="No space left"):
        batch.flush()
    assert list(directory.list()) == []
    batch.delegate(None)
    batch.flush()
    assert set(directory.list()) == {ObjectId.of(b"one"), ObjectId.of(b"two")}


def test_what_is_being_named_elsewhere_is_waited_for_before_it_is_deleted(directory):
    batch = ObjectBatch(directory.root, directory)
    batch.delegate(Elsewhere(directory))
    put(batch, b"one")
    batch.begin_flush()
    batch.delete(ObjectId.of(b"one"))
    batch.flush()
    assert list(directory.list()) == []


def test_a_namer_with_nothing_to_do_begins_early_and_its_names_are_durable_after_the_flush(directory):
    synced = []
    batch = ObjectBatch(directory.root, directory, lambda _: synced.append(len(list(directory.list()))) or True)
    namer, outbox = Elsewhere(directory), batch.outbox()
    batch.delegate(namer)
    contents = [b"%d" % number for number in range(2500)]

    def hand_over(some):
        for content in some:
            outbox.put(ObjectId.of(content), content)
        batch.take(*outbox.handed_over())

    hand_over(contents[:900])
    assert namer.begun == []
    hand_over(contents[900:1100])
    assert len(namer.begun[0]) == 1100
    hand_over(contents[1100:2300])
    assert len(namer.begun[0]) == 1100  # it is still at work
    namer.is_quick = True
    hand_over(contents[2300:])
    assert len(namer.begun[0]) == 1400
    assert synced == []
    batch.flush()
    assert synced == [2500]  # names that the namer gave
    assert batch.stored_objects == 2500
    batch.flush()
    assert synced == [2500]


def test_names_that_could_not_be_made_durable_are_so_after_the_next_flush(directory):
    answers = [True, False, True]
    seen = []

    def sync(_):
        seen.append(len(list(directory.list())))
        if not answers.pop(0):
            raise OSError(errno.EIO, "Input/output error")
        return True

    batch = ObjectBatch(directory.root, directory, sync)
    put(batch, b"one")
    with pytest.raises(Unreachable, match="Input/output error"):
        batch.flush()
    batch.flush()
    assert seen == [0, 1, 1]
