"""The size of the cache: what was not used for longest goes first, at any limit, with any number of processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from swrepo.cache.disk import DiskCache
from swrepo.cache.inventory import held
from swrepo.cache.quota import RESERVE_LIMIT, USE_GRAIN, Quota, Room
from swrepo.format.object_id import Kind
from swrepo.objects.store import Want
from tests.simulator import RepositorySimulator
from tests.spec.test_cache_disk import LARGE, PLAIN, content, fetches, files, put

BLOCK = 4096
HUGE = Room(1 << 50, 1 << 49)
LONG_AGO = 1_700_000_000.0


@pytest.fixture
def repository() -> RepositorySimulator:
    return RepositorySimulator()


class Limited:
    """A cache with a limit, and the clock and the file system that it sees; what is for the background runs at once."""

    def __init__(self, root: Path, repository: RepositorySimulator, blocks: int) -> None:
        self.root = root
        self.repository = repository
        self.now = LONG_AGO
        self.room = HUGE
        self.quota = Quota(
            root, blocks * BLOCK, room=lambda _root: self.room, clock=lambda: self.now, start=lambda work: work()
        )
        self.cache = DiskCache(root, repository, quota=self.quota)

    def read(self, want: Want) -> None:
        """Read, one day after whatever was read before."""
        self.now += 86400
        content(self.cache, want)

    def block(self, number: int, **how: object) -> Want:
        """An object of one block."""
        return put(self.repository, b"%04d" % number, **how)

    def held(self) -> set[str]:
        return {item.path for item in held(self.root)}


@pytest.fixture
def limited(tmp_path: Path, repository: RepositorySimulator) -> Iterator[Limited]:
    found = Limited(tmp_path / "cache", repository, 32)
    yield found
    found.cache.close()


def aged(limited: Limited, want: Want) -> None:
    """Give the file the time of use that the test's clock shows: the kernel's own clock is ahead of it."""
    os.utime(limited.root / want.id.cache_path, (limited.now, limited.now))


def filled(limited: Limited, count: int) -> list[Want]:
    wants = [limited.block(number) for number in range(count)]
    for want in wants:
        limited.read(want)
        aged(limited, want)
    return wants


def test_below_the_limit_nothing_goes(limited: Limited) -> None:
    wants = filled(limited, 31)
    assert limited.held() == {want.id.cache_path for want in wants}
    assert limited.quota.counters.used == 31 * BLOCK
    assert limited.quota.counters.cleanups == 0


def test_before_the_limit_is_reached_the_oldest_half_goes(limited: Limited) -> None:
    wants = filled(limited, 32)
    assert limited.held() == {want.id.cache_path for want in wants[15:]}
    assert limited.quota.counters.cleanups == 1
    assert limited.quota.counters.evicted == 15
    assert limited.quota.counters.used == 17 * BLOCK


def test_what_was_used_lately_stays(limited: Limited) -> None:
    wants = filled(limited, 31)
    limited.read(wants[0])
    for number in (100, 101):
        limited.read(limited.block(number))
    assert wants[0].id.cache_path in limited.held()
    assert wants[1].id.cache_path not in limited.held()


def test_it_never_holds_more_than_the_limit(limited: Limited) -> None:
    for number in range(200):
        limited.read(limited.block(number))
        assert len(limited.held()) <= 32


def test_what_was_evicted_is_fetched_again(limited: Limited) -> None:
    wants = filled(limited, 32)
    assert wants[0].id.cache_path not in limited.held()
    limited.read(wants[0])
    assert fetches(limited.repository, wants[0]) == 2


def test_an_open_file_keeps_its_bytes_when_it_is_evicted(limited: Limited) -> None:
    first = limited.block(1000)
    descriptor = limited.cache.open(first)
    aged(limited, first)
    filled(limited, 32)
    assert first.id.cache_path not in limited.held()
    assert os.read(descriptor, 100) == b"1000"
    os.close(descriptor)


def test_a_catalog_in_use_is_not_evicted_first(limited: Limited) -> None:
    catalog = limited.block(1000, kind=Kind.CATALOG)
    limited.read(catalog)
    aged(limited, catalog)
    filled(limited, 32)
    assert catalog.id.cache_path in limited.held()


def test_not_even_when_another_process_uses_it(limited: Limited) -> None:
    catalog = limited.block(1000, kind=Kind.CATALOG)
    other = Limited(limited.root, limited.repository, 32)
    other.read(catalog)
    aged(limited, catalog)
    filled(limited, 32)
    assert catalog.id.cache_path in limited.held()
    other.cache.close()
    limited.now += 1
    wants = [limited.block(number) for number in range(200, 220)]
    for want in wants:
        limited.read(want)
    assert catalog.id.cache_path not in limited.held(), "its user has gone"


def test_catalogs_in_use_that_leave_no_room_for_anything_go_too(limited: Limited) -> None:
    for number in range(40):
        limited.read(limited.block(number, kind=Kind.CATALOG))
    assert len(limited.held()) <= 32


def test_a_hit_writes_nothing_until_there_are_many(limited: Limited) -> None:
    want = limited.block(1)
    limited.read(want)
    aged(limited, want)
    before = os.stat(limited.root / want.id.cache_path)
    limited.read(want)
    after = os.stat(limited.root / want.id.cache_path)
    assert (after.st_ctime_ns, after.st_mtime_ns) == (before.st_ctime_ns, before.st_mtime_ns)


def test_uses_are_written_at_the_end(limited: Limited) -> None:
    want = limited.block(1)
    limited.read(want)
    aged(limited, want)
    committed = os.stat(limited.root / want.id.cache_path).st_mtime
    limited.read(want)
    limited.cache.close()
    found = os.stat(limited.root / want.id.cache_path)
    assert found.st_atime == limited.now
    assert found.st_mtime == committed, "which tells when it came"


def test_two_uses_within_the_hour_are_one(limited: Limited) -> None:
    want = limited.block(1)
    limited.read(want)
    aged(limited, want)
    noted = limited.now
    limited.now += USE_GRAIN - 1
    os.close(limited.cache.open(want))  # not read: the kernel would note the time by itself
    limited.quota.write_uses()
    assert os.stat(limited.root / want.id.cache_path).st_atime == noted


def test_the_disk_of_others_is_left_alone(limited: Limited) -> None:
    """What is free, less the reserve, is all that the cache may take."""
    reserve = RESERVE_LIMIT
    limited.room = Room(1 << 40, reserve + 8 * BLOCK)
    limited.quota.limit = 1000 * BLOCK
    limited.read(limited.block(0))
    for number in range(1, 60):
        limited.room = Room(1 << 40, reserve + 8 * BLOCK - (len(limited.held()) * BLOCK))
        limited.read(limited.block(number))
    assert len(limited.held()) <= 9


def test_a_small_disk_keeps_a_twentieth_free(limited: Limited) -> None:
    total = 40 * BLOCK
    limited.quota.limit = 1000 * BLOCK
    for number in range(100):
        limited.room = Room(total, total - len(limited.held()) * BLOCK)
        limited.read(limited.block(number))
        assert len(limited.held()) <= 38


def test_an_object_larger_than_the_limit_is_read_without_being_kept(limited: Limited) -> None:
    wants = filled(limited, 3)
    large = put(limited.repository, LARGE)
    assert content(limited.cache, large) == LARGE
    assert limited.held() == {want.id.cache_path for want in wants}


def test_what_was_there_before_is_counted(tmp_path: Path, repository: RepositorySimulator) -> None:
    root = tmp_path / "cache"
    cache = DiskCache(root, repository)
    for number in range(20):
        content(cache, put(repository, b"%04d" % number))
    cache.close()
    limited = Limited(root, repository, 100)
    limited.read(limited.block(100))
    assert limited.quota.counters.used == 21 * BLOCK
    limited.cache.close()


def test_what_was_there_before_goes_where_it_is_too_much(tmp_path: Path, repository: RepositorySimulator) -> None:
    root = tmp_path / "cache"
    cache = DiskCache(root, repository)
    for number in range(100):
        content(cache, put(repository, b"%04d" % number))
    cache.close()
    limited = Limited(root, repository, 32)
    limited.read(limited.block(1000))
    limited.read(limited.block(1001))
    assert len(limited.held()) <= 32
    limited.cache.close()


@pytest.mark.parametrize("damaged", [b"", b"x", b"-1", b"\0" * 20, b"9" * 30])
def test_a_damaged_number_is_counted_anew(limited: Limited, damaged: bytes) -> None:
    filled(limited, 10)
    (limited.root / "swrepo.usage").write_bytes(damaged)
    limited.read(limited.block(100))
    assert limited.quota.counters.used == 11 * BLOCK


def test_processes_that_share_it_keep_the_limit_together(tmp_path: Path, repository: RepositorySimulator) -> None:
    root = tmp_path / "cache"
    caches = [Limited(root, repository, 600) for _ in range(3)]
    for number in range(400):
        for index, limited in enumerate(caches):
            limited.read(put(repository, b"%d %d" % (number, index)))
    # Each may have committed a megabyte that it has not told of.
    assert len(caches[0].held()) <= 600 + 2 * 256
    for limited in caches:
        limited.cache.close()
    assert sum(limited.quota.counters.cleanups for limited in caches) >= 1


def test_a_process_that_is_killed_leaves_a_number_that_is_nearly_right(
    tmp_path: Path, repository: RepositorySimulator
) -> None:
    root = tmp_path / "cache"
    child = os.fork()
    if not child:
        limited = Limited(root, repository, 10_000)
        for number in range(600):
            limited.read(limited.block(number))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    scans: list[None] = []
    quota = Quota(root, 10_000 * BLOCK, room=lambda _root: HUGE, start=lambda _work: scans.append(None))
    cache = DiskCache(root, repository, quota=quota)
    content(cache, put(repository))
    cache.close()
    assert 603 * BLOCK - (1 << 20) - BLOCK <= quota.counters.used <= 603 * BLOCK
    assert not scans, "nothing was counted"


def test_what_is_no_object_is_never_touched(limited: Limited) -> None:
    outside = limited.root.parent / "outside"
    outside.mkdir()
    (outside / ("a" * 38)).write_bytes(PLAIN)
    (limited.root / "ff").symlink_to(outside)
    (limited.root / "00").mkdir(exist_ok=True)
    strangers = [limited.root / "cachedb", limited.root / "00" / "notes.txt", limited.root / "00" / ("b" * 40 + "~")]
    for stranger in strangers:
        stranger.write_bytes(PLAIN)
        os.utime(stranger, (1, 1))
    filled(limited, 32)
    assert all(stranger.exists() for stranger in strangers)
    assert (outside / ("a" * 38)).exists()
    assert [name for name in files(limited.root) if name == "cachedb"]
