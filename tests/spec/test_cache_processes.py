"""Four processes fill, read and empty one cache while they are killed one after the other; nothing wrong ever comes of it."""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from swrepo.cache.audit import State, audit, judge
from swrepo.cache.disk import DiskCache
from swrepo.cache.inventory import footprint, held
from swrepo.cache.plan import DirectoryPlan, Use, build
from swrepo.cache.quota import Quota, Room
from swrepo.cache.tiered import Tier
from swrepo.objects.store import Want
from tests.simulator import RepositorySimulator
from tests.spec.test_cache_disk import content, put

PROCESSES = 4
KILLS = 40
OBJECTS = 300
LIMIT = 4 << 20
UNTOLD = 1 << 20
PATIENCE = 60.0
"""Seconds after which a process that gives no sign of life has failed the test."""


def plain(number: int) -> bytes:
    """The content of an object: mostly small, now and then more than what passes through memory."""
    chance = random.Random(number)
    return chance.randbytes(chance.choice((10, 3_000, 30_000)) if number % 50 else 1_100_000)


@pytest.fixture(scope="module")
def repository() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture(scope="module")
def wants(repository: RepositorySimulator) -> list[Want]:
    return [put(repository, plain(number)) for number in range(OBJECTS)]


class Reader:
    """A process that reads objects in a random order until it is killed; each that was right is a dot in its pipe."""

    def __init__(self, start: Callable[[], Tier], wants: list[Want], seed: int) -> None:
        self.output, output = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(output)
            return
        try:
            chance = random.Random(seed)
            cache = start()
            while True:
                number = chance.randrange(OBJECTS)
                os.write(output, b"." if content(cache, wants[number]) == plain(number) else b"X")
        except BaseException as error:  # noqa: BLE001 - to the parent
            os.write(output, b"E" + repr(error).encode())
        finally:
            os._exit(1)

    def wait_for(self, count: int) -> None:
        """Until it has read so many objects; all that it says must be dots."""
        end = time.monotonic() + PATIENCE
        seen = 0
        while seen < count:
            ready, _, _ = select.select([self.output], [], [], max(0.0, end - time.monotonic()))
            assert ready, "it reads nothing any more"
            said = os.read(self.output, 4096)
            assert said.strip(b".") == b"", said
            assert said, "it ended"
            seen += len(said)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.output)


@contextmanager
def readers(start: Callable[[], Tier], wants: list[Want]) -> Iterator[list[Reader]]:
    found = [Reader(start, wants, seed) for seed in range(PROCESSES)]
    try:
        yield found
    finally:
        for reader in found:
            reader.kill()


def kill_again_and_again(start: Callable[[], Tier], wants: list[Want]) -> None:
    chance = random.Random(20)
    with readers(start, wants) as running:
        for kill in range(KILLS):
            victim = chance.randrange(PROCESSES)
            running[victim].wait_for(chance.randrange(1, 30))
            running[victim].kill()
            running[victim] = Reader(start, wants, seed=100 + kill)
        for reader in running:
            reader.wait_for(20)


def test_killed_processes_leave_a_cache_that_is_right(
    tmp_path: Path, repository: RepositorySimulator, wants: list[Want]
) -> None:
    root = tmp_path / "cache"
    huge = Room(1 << 50, 1 << 49)

    def start() -> DiskCache:
        return DiskCache(root, repository, quota=Quota(root, LIMIT, room=lambda _root: huge))

    kill_again_and_again(start, wants)
    size = sum(footprint(item.size) for item in held(root))
    assert size <= LIMIT + 2 * PROCESSES * UNTOLD, "each may have a megabyte and an object that nobody knows of"
    assert all(judge(root / item.path, item.path) is State.GOOD for item in held(root))

    scans: list[object] = []
    cache = DiskCache(root, repository, quota=Quota(root, 1 << 40, room=lambda _root: huge, start=scans.append))
    assert [content(cache, want) for want in wants] == [plain(number) for number in range(OBJECTS)]
    cache.close()
    assert not scans, "the next start looks through nothing"
    assert not list((root / "txn").iterdir()), "what they left unfinished is gone"
    found = audit(root)
    assert (found.good, found.unknown, found.removed) == (OBJECTS, 0, ())


def test_killed_hosts_leave_a_shared_cache_that_is_right(
    tmp_path: Path, repository: RepositorySimulator, wants: list[Want]
) -> None:
    root = tmp_path / "shared"

    def start() -> Tier:
        return build(DirectoryPlan(root, Use.SHARED), repository)

    kill_again_and_again(start, wants)
    cache = start()
    assert [content(cache, want) for want in wants] == [plain(number) for number in range(OBJECTS)]
    cache.close()
    found = audit(root)
    assert (found.good, found.unknown, found.removed) == (OBJECTS, 0, ())
