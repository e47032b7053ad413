"""Small objects that the loop of a mount asks for by itself: each once, right, and fetched in other ways where not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swrepo.format.compression import Compression
from swrepo.format.object_id import ObjectId
from swrepo.objects import codec
from tests.faults import Behaviour, FaultServer, instead, not_http, reset, truncated, unannounced
from tests.mount.mounted import Mount, mounted, wait_until
from tests.mount.test_refresh import Served
from tests.simulated_trees import File

pytestmark = pytest.mark.mount

FILES = 60
NAMES = [b"/d%d/f%02d" % (number % 4, number) for number in range(FILES)]
ORDER = random.Random(3).sample(range(FILES), FILES)


def body(number: int) -> bytes:
    return b"the bytes of %d, " % number * (number * 7 + 1)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    found = Served(tmp_path)
    found.publish({name: File(content=body(number)) for number, name in enumerate(NAMES)}, ())
    return found


@pytest.fixture
def server(served: Served) -> Iterator[FaultServer]:
    root = served.directory

    def look_up(path: str) -> bytes | None:
        file = root / path.lstrip("/")
        return file.read_bytes() if file.is_file() else None

    with FaultServer(look_up) as found:
        yield found


def request(served: Served, server: FaultServer) -> dict:
    # Without guesses, so that it is known what is asked for.
    return {**served.request(), "urls": [f"{server.url}/{served.simulator.fqrn}"], "prefetch": False}


def target(served: Served, number: int) -> str:
    """Where the server is asked for a file's bytes."""
    stored = codec.encode(body(number), Compression.ZLIB)
    return f"/{served.simulator.fqrn}/{ObjectId.of(stored, served.simulator.algorithm).path}"


def read(mount: Mount, number: int) -> bytes:
    return (mount.point / NAMES[number].decode()[1:]).read_bytes()


def taken_by_the_loop(mount: Mount) -> int:
    return mount.counters()["loop fetched"]


def until_a_line_stands(mount: Mount) -> None:
    """The first misses go another way, and have one opened."""
    numbers = iter(ORDER[:20])

    def stands() -> bool:
        if (number := next(numbers, None)) is not None:
            assert read(mount, number) == body(number)
        return taken_by_the_loop(mount) > 0

    wait_until(stands)


def test_the_loop_fetches_small_files_by_itself_and_each_once(
    served: Served, server: FaultServer, tmp_path: Path
) -> None:
    with mounted(tmp_path, **request(served, server)) as mount:
        until_a_line_stands(mount)
        fetched = mount.counters()["cache fetched"]
        for number in ORDER[20:]:
            assert read(mount, number) == body(number)
        assert mount.counters()["cache fetched"] - fetched == FILES - 20
        assert all(server.count(target(served, number)) == 1 for number in ORDER[20:])
    server.close()
    with mounted(tmp_path, **served.request()) as mount:
        assert all(read(mount, number) == body(number) for number in ORDER[20:])
        assert mount.counters()["cache fetched"] <= 3, "they were kept: only documents were asked for"


def test_many_readers_at_once_get_what_they_asked_for(served: Served, server: FaultServer, tmp_path: Path) -> None:
    with mounted(tmp_path, **request(served, server)) as mount, ThreadPoolExecutor(16) as readers:
        until_a_line_stands(mount)
        wanted = [number for number in ORDER for _ in range(4)]
        assert list(readers.map(lambda number: read(mount, number), wanted)) == list(map(body, wanted))
    assert all(server.count(target(served, number)) == 1 for number in ORDER)


@pytest.mark.parametrize(
    "fault",
    [reset, truncated(20), not_http, unannounced, instead(b"a captive portal" * 40)],
    ids=["reset", "cut short", "not HTTP", "no length", "other bytes"],
)
def test_a_fault_costs_another_request_and_nothing_else(
    served: Served, server: FaultServer, tmp_path: Path, fault: Behaviour
) -> None:
    with mounted(tmp_path, **request(served, server)) as mount:
        until_a_line_stands(mount)
        number = ORDER[-1]
        server.next(target(served, number), fault)
        assert read(mount, number) == body(number)
        assert server.count(target(served, number)) <= 2
        assert read(mount, ORDER[-2]) == body(ORDER[-2])
