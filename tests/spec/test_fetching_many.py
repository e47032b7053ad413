"""Many small objects for the price of one: sources, and the cache that is filled from them."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swrepo.cache.disk import DiskCache
from swrepo.cache.quota import Quota
from swrepo.errors import CorruptObject
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, ObjectId
from swrepo.net.http import HttpClient
from swrepo.net.remote import RemoteRepository
from swrepo.net.routes import Routes
from swrepo.objects import codec
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import Want
from tests.faults import FaultServer, reset, status

CONTENTS = [b"content %d " % number * (number * 40) for number in range(1, 40)]


def stored(plain: bytes, compression: Compression = Compression.ZLIB) -> tuple[Want, bytes]:
    data = codec.encode(plain, compression)
    return Want(ObjectId.of(data, Algorithm.SHA1), compression, len(plain)), data


@pytest.fixture
def objects(tmp_path: Path):
    """A directory of objects, and what to ask for: packed and not."""
    directory = DirectoryObjects(tmp_path / "srv")
    directory.create()
    wants = {}
    for number, plain in enumerate(CONTENTS):
        want, data = stored(plain, Compression.NONE if number % 3 == 0 else Compression.ZLIB)
        directory.put(want.id, data)
        wants[want] = plain
    return directory, wants


@pytest.fixture
def server(objects):
    directory, _ = objects

    def look_up(path: str) -> bytes | None:
        file = directory.root / path.lstrip("/")
        return file.read_bytes() if file.is_file() else None

    found = FaultServer(look_up)
    yield found
    found.close()


def remote(server: FaultServer) -> RemoteRepository:
    return RemoteRepository(Routes((server.url,)), HttpClient(), pause=lambda _seconds: None)


def test_a_directory_delivers_all_of_them(objects) -> None:
    directory, wants = objects
    got = {}
    assert directory.fetch_many(list(wants), got.__setitem__) == []
    assert got == wants


def test_a_server_delivers_all_of_them_over_a_few_connections(objects, server: FaultServer) -> None:
    _, wants = objects
    got = {}
    source = remote(server)
    assert source.fetch_many(list(wants), got.__setitem__) == []
    assert got == wants
    assert source.fetch_many(list(wants), got.__setitem__) == []
    assert server.connections <= 16
    assert source.traffic.responses == 2 * len(wants)


def test_what_fails_is_left_and_the_rest_comes(objects, server: FaultServer) -> None:
    _, wants = objects
    asked = list(wants)
    missing, broken, wrong, refused = asked[3], asked[7], asked[11], asked[12]
    server.next(f"/{broken.id.path}", reset)
    server.next(f"/{refused.id.path}", status(503))
    directory, _ = objects
    (directory.root / missing.id.path).unlink()
    (directory.root / wrong.id.path).write_bytes(b"something else")
    got = {}

    source = remote(server)
    left = source.fetch_many(asked, got.__setitem__)

    assert set(left) == {missing, broken, wrong, refused}
    assert source.traffic.failed == 4
    assert got == {want: plain for want, plain in wants.items() if want not in left}


def test_who_takes_only_some_of_a_batch_leaves_the_rest_undone(objects, server: FaultServer) -> None:
    _, wants = objects
    source = remote(server)

    class Enough(Exception):
        pass

    def first(_want: Want, _plain: bytes) -> None:
        raise Enough

    for _ in range(3):
        with pytest.raises(Enough):
            source.fetch_many(list(wants), first)
    got = {}
    assert source.fetch_many(list(wants), got.__setitem__) == []
    assert got == wants


def test_an_endless_answer_is_given_up(server: FaultServer, objects) -> None:
    directory, _ = objects
    want, _ = stored(b"small")
    path = directory.root / want.id.path
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(os.urandom(8 << 20))
    assert remote(server).fetch_many([want], lambda *_: pytest.fail("never")) == [want]


def test_a_child_process_has_connections_of_its_own(objects, server: FaultServer) -> None:
    _, wants = objects
    source = remote(server)
    got = {}
    source.fetch_many(list(wants)[:8], got.__setitem__)
    before = server.connections
    child = os.fork()
    if child == 0:
        left = source.fetch_many(list(wants), got.__setitem__)
        os._exit(0 if not left and got == wants else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert server.connections > before
    assert source.fetch_many(list(wants), got.__setitem__) == []


def test_the_cache_keeps_what_comes_and_says_what_was_there(tmp_path: Path, objects) -> None:
    directory, wants = objects
    cache = DiskCache(tmp_path / "cache", directory)
    asked = list(wants)
    for want in asked[:5]:
        os.close(cache.open(want))
    told = {}

    assert cache.bring_many(asked, told.__setitem__) == []

    assert told == {want: want in asked[:5] for want in asked}
    for want, plain in wants.items():
        descriptor = cache.open_if_here(want)
        assert descriptor is not None
        with os.fdopen(descriptor, "rb") as file:
            assert file.read() == plain
    assert cache.counters.fetched == len(wants)
    cache.close()


def test_large_ones_and_those_there_is_no_room_for_are_left(tmp_path: Path, objects) -> None:
    directory, _ = objects
    large, data = stored(os.urandom(2 << 20))
    small, small_data = stored(os.urandom(100_000))
    for want, content in ((large, data), (small, small_data)):
        directory.put(want.id, content)
    cache = DiskCache(tmp_path / "cache", directory, quota=Quota(tmp_path / "cache", 50_000))
    assert cache.bring_many([large, small], lambda *_: pytest.fail("never")) == [large, small]
    assert not cache.bring(small), "it is handed through, and not kept"
    cache.close()


@pytest.mark.parametrize("compression", list(Compression))
def test_whole_objects_are_judged_as_those_that_come_in_blocks(compression: Compression) -> None:
    want, data = stored(b"x" * 1000, compression)
    assert codec.decode_whole(data, want) == b"x" * 1000
    for wrong in (data[:-1], data + b"x", b"", bytes([data[0] ^ 1]) + data[1:]):
        with pytest.raises(CorruptObject):
            codec.decode_whole(wrong, want)
    for size in (999, 1001, 0):
        with pytest.raises(CorruptObject):
            codec.decode_whole(data, Want(want.id, compression, size))
    assert codec.decode_whole(data, Want(want.id, compression)) == b"x" * 1000


def test_a_stream_with_something_behind_its_end_is_refused() -> None:
    data = codec.encode(b"x" * 1000, Compression.ZLIB) + b"more"
    with pytest.raises(CorruptObject):
        codec.decode_whole(data, Want(ObjectId.of(data, Algorithm.SHA1), Compression.ZLIB, 1000))


def test_what_somebody_else_fetches_is_left_and_what_a_batch_fetches_is_waited_for(tmp_path: Path, objects) -> None:
    directory, wants = objects
    first, second = list(wants)[:2]
    entered, go = threading.Event(), threading.Event()

    class Slow:
        """Hands out one object when told to; a batch has to wait for that, too."""

        def fetch(self, want: Want, out) -> None:
            entered.set()
            assert go.wait(20)
            directory.fetch(want, out)

        def fetch_many(self, asked, deliver) -> list[Want]:
            entered.set()
            assert go.wait(20)
            return directory.fetch_many(asked, deliver)

    cache = DiskCache(tmp_path / "cache", Slow())
    with ThreadPoolExecutor(2) as threads:
        alone = threads.submit(cache.bring, first)
        assert entered.wait(20)
        assert cache.bring_many([first], lambda *_: pytest.fail("never")) == [first]
        entered.clear()
        together = threads.submit(cache.bring_many, [second], lambda *_: None)
        assert entered.wait(20)
        waits = threading.Thread(target=lambda: os.close(cache.open(second)))
        waits.start()
        while not cache._combine.waiters(second.id.cache_path):
            pass
        go.set()
        assert alone.result()
        assert together.result() == []
        waits.join()
    assert cache.counters.fetched == 2, "each of them once"
    cache.close()


def test_what_a_batch_could_not_have_is_fetched_by_those_who_waited_for_it(tmp_path: Path, objects) -> None:
    directory, wants = objects
    want = next(iter(wants))
    held: list[bytes] = []

    class Failing:
        """Delivers nothing to a batch, while somebody waits for what it asked for."""

        def fetch(self, want: Want, out) -> None:
            directory.fetch(want, out)

        def fetch_many(self, asked, deliver) -> list[Want]:
            reader.start()
            while not cache._combine.waiters(want.id.cache_path):
                pass
            return list(asked)

    def read() -> None:
        with os.fdopen(cache.open(want), "rb") as file:
            held.append(file.read())

    cache = DiskCache(tmp_path / "cache", Failing())
    reader = threading.Thread(target=read)
    assert cache.bring_many([want], lambda *_: pytest.fail("never")) == [want]
    reader.join()
    assert held == [wants[want]]
    cache.close()
