"""Many repositories and few descriptors: most processes begin with 1024, and a cache has 257 directories."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

from swrepo.cache.disk import DiskCache
from swrepo.format.object_id import ObjectId
from swrepo.objects.store import Want
from swrepo.system.descriptors import ROOM, limit, make_room, raise_limit
from tests.simulator import RepositorySimulator


def in_a_process(work: Callable[[], None]) -> int:
    """The exit code of a process that does it; limits stay those of that process."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_process_takes_what_the_administrator_allows() -> None:
    def work() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))
        assert limit() == 100
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, 300)
        assert limit() == 300
        raise_limit()

    assert in_a_process(work) == 0


def test_the_kernel_makes_room_for_descriptors_once_and_for_all() -> None:
    def size_of_the_table() -> int:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("FDSize:")[2].split()[0])

    def work() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8 * ROOM), hard))
        is_open = os.listdir("/proc/self/fd")
        make_room()
        assert size_of_the_table() >= min(ROOM, hard)
        assert len(os.listdir("/proc/self/fd")) == len(is_open)
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
        make_room()  # no more than there may be

    assert in_a_process(work) == 0


def test_caches_leave_half_of_the_descriptors_to_others(tmp_path: Path) -> None:
    repository = RepositorySimulator()
    wants = {want.id: want for want in (put(repository, b"%d" % number) for number in range(600))}
    assert len({name.cache_path.partition("/")[0] for name in wants}) > 200

    def work() -> None:
        os.closerange(3, 1 << 16)  # what other tests have open counts, too
        most = len(os.listdir("/proc/self/fd")) + 200
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        caches = [DiskCache(tmp_path / str(number), repository) for number in range(2)]
        for cache in caches:
            for want in wants.values():
                os.close(cache.open(want))  # fetched
            for want in wants.values():
                os.close(cache.open(want))  # found
        assert len(os.listdir("/proc/self/fd")) <= most // 2 + 30
        for cache in caches:
            cache.close()

    assert in_a_process(work) == 0
    left: list[ObjectId] = [name for name in wants if not (tmp_path / "1" / name.cache_path).exists()]
    assert left == []


def put(repository: RepositorySimulator, plain: bytes) -> Want:
    return Want(repository.put(plain), size=len(plain))
