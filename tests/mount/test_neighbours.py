"""What lies near an opened file is fetched ahead over a long link: on a real mount, with a server that counts."""

from __future__ import annotations

import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swrepo.mount.ahead import FIRST_CREDIT
from swrepo.mount.ahead_account import REWARD
from swrepo.mount.ahead_fetch import FAR_FIRST
from swrepo.mount.ahead_neighbours import FIRST_OF_A_KIND, price
from tests.mount.mounted import Mount, mounted, wait_until
from tests.mount.test_profiles import over_network, rounds
from tests.mount.test_reading import Server, server  # noqa: F401 - a fixture
from tests.mount.test_refresh import Served
from tests.simulated_trees import File

pytestmark = pytest.mark.mount

ROUND_TRIP = 0.025
"""Seconds, which are never taken for a short link, however fast the machine is."""

MODULES = [b"/lib/numpy/m%02d.py" % number for number in range(20)]
TEXTS = [b"/lib/numpy/t%02d.txt" % number for number in range(20)]
LARGE = [b"/data/p%02d/f%02d.bin" % (place, number) for place in range(16) for number in range(18)]
LARGE_SIZE = 100_000
CHAIN = (b"/a", b"/a/b", b"/a/b/c", b"/a/b/c/d")
OTHERS = tuple(b"/many/n%02d" % number for number in range(12))


def body(path: bytes) -> bytes:
    return path + bytes(LARGE_SIZE - len(path)) if path in LARGE else path * 90


def tree() -> dict[bytes, File]:
    inner = [b"/a/b/c/d/file", *(place + b"/deep/file" for place in OTHERS)]
    return {path: File(content=body(path)) for path in (*MODULES, *TEXTS, *LARGE, *inner, b"/lib/first")}


@pytest.fixture
def served(tmp_path: Path) -> Served:
    found = Served(tmp_path)
    found.publish(tree(), (*CHAIN, b"/many", *OTHERS, *(place + b"/deep" for place in OTHERS)))
    return found


@pytest.fixture
def far(server: Server) -> Server:  # noqa: F811
    server.round_trip = ROUND_TRIP
    return server


def read(mount: Mount, path: bytes) -> bytes:
    return (mount.point / path.decode()[1:]).read_bytes()


def ahead(mount: Mount) -> dict[str, int]:
    lines = [line for line in mount.ask("counters").splitlines() if line.startswith("ahead ")]
    return {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in lines}


def fetched(mount: Mount, origin: str = "neighbours") -> int:
    return ahead(mount).get(f"ahead {origin} fetched", 0)


def objects_of(server: Server) -> list[str]:  # noqa: F811
    """Those of files: catalogs come when it is known that the link is long."""
    return [path for path in server.requests if "/data/" in path and not path.endswith("C")]


def test_after_one_module_the_package_is_here_and_nothing_else(served: Served, far: Server, tmp_path: Path) -> None:
    with mounted(tmp_path, **over_network(served, far, tmp_path)) as mount:
        read(mount, MODULES[3])
        wait_until(lambda: fetched(mount) >= len(MODULES) - 1)
        far.requests.clear()
        for path in MODULES:
            assert read(mount, path) == body(path)
        assert objects_of(far) == []
        found = ahead(mount)
        assert found["ahead neighbours fetched"] == found["ahead neighbours used"] == len(MODULES) - 1
        assert found["ahead neighbours wasted bytes"] == 0


def test_each_object_of_a_package_travels_once_whoever_asks_first(served: Served, far: Server, tmp_path: Path) -> None:
    with mounted(tmp_path, **over_network(served, far, tmp_path)) as mount:
        names = " ".join(str(mount.point / path.decode()[1:]) for path in (*MODULES, *TEXTS))
        subprocess.run(f"echo {names} | xargs -P 4 -n 3 cat > /dev/null", shell=True, check=True)
        assert ahead(mount)["ahead neighbours used"] > 0
        for path in (*MODULES, *TEXTS):
            assert read(mount, path) == body(path)
    assert sorted(objects_of(far)) == sorted(set(objects_of(far)))


def test_random_reads_waste_what_the_account_held_and_three_tenths_of_what_was_read(
    served: Served, far: Server, tmp_path: Path
) -> None:
    chosen = [random.Random(place).choice(LARGE[18 * place : 18 * place + 18]) for place in range(16)]
    with mounted(tmp_path, **over_network(served, far, tmp_path)) as mount:
        for path in chosen:
            assert read(mount, path) == body(path)
        cost = price(LARGE_SIZE)
        wait_until(lambda: fetched(mount) >= 0.7 * FIRST_OF_A_KIND / cost)
        found = ahead(mount)
        assert found["ahead neighbours wasted"] * cost <= FIRST_CREDIT + FAR_FIRST + REWARD * len(chosen) * cost
        assert found["ahead neighbours fetched"] < len(LARGE) - len(chosen), "nothing shows that the guesses are right"


def test_a_mount_that_is_told_to_fetches_nothing_ahead(served: Served, far: Server, tmp_path: Path) -> None:
    with mounted(tmp_path, prefetch=False, **over_network(served, far, tmp_path)) as mount:
        far.requests.clear()
        for path in MODULES[:3]:
            read(mount, path)
        assert len(objects_of(far)) == 3


def test_a_mount_that_is_told_to_guesses_nothing(served: Served, far: Server, tmp_path: Path) -> None:
    with mounted(tmp_path, guesses=False, **over_network(served, far, tmp_path)) as mount:
        far.requests.clear()
        for path in MODULES[:3]:
            read(mount, path)
        assert len(objects_of(far)) == 3


def path_of(mount: Mount, path: bytes) -> str:
    """Where the server has the object of a file."""
    digest = os.getxattr(mount.point / path.decode()[1:], "user.hash").decode()
    return f"data/{digest[:2]}/{digest[2:]}"


def test_what_cannot_be_had_ahead_harms_nobody_and_can_be_had_later(
    served: Served, far: Server, tmp_path: Path
) -> None:
    expected = ("failed", "Unreachable", "EIO")
    with mounted(tmp_path, expected=expected, max_retries=0, **over_network(served, far, tmp_path)) as mount:
        far.broken = tuple(path_of(mount, path) for path in MODULES[5:8])
        for path in (*MODULES[:5], *MODULES[8:], *TEXTS):
            assert read(mount, path) == body(path)
        for path in MODULES[5:8]:
            with pytest.raises(OSError):
                read(mount, path)
        far.broken = ()
        wait_until(lambda: all(can_be_read(mount, path) for path in MODULES), 30)


def can_be_read(mount: Mount, path: bytes) -> bool:
    try:
        return read(mount, path) == body(path)
    except OSError:
        return False


def test_who_wants_something_does_not_wait_behind_guesses(served: Served, far: Server, tmp_path: Path) -> None:
    """The link carries nothing: all that was asked for piles up at the server, and there is room for one request more."""
    with mounted(tmp_path, **over_network(served, far, tmp_path)) as mount, ThreadPoolExecutor(20) as programs:
        wanted = path_of(mount, MODULES[0])
        far.requests.clear()
        far.go.clear()
        waiting = [programs.submit(read, mount, LARGE[18 * place]) for place in range(16)]
        wait_until(lambda: len(objects_of(far)) >= 16 + 16)
        waiting.append(programs.submit(read, mount, MODULES[0]))
        wait_until(lambda: any(wanted in path for path in far.requests))
        guesses = len(objects_of(far)) - len(waiting)
        assert guesses <= 4 * 16 + 19, "what is under way is bounded; the last are those of the module's package"
        far.go.set()
        assert [len(one.result()) for one in waiting] == 16 * [LARGE_SIZE] + [len(body(MODULES[0]))]


def test_catalogs_below_the_root_come_when_it_is_known_that_the_link_is_long(
    served: Served, far: Server, tmp_path: Path
) -> None:
    with mounted(tmp_path, **over_network(served, far, tmp_path)) as mount:
        read(mount, MODULES[0])
        wait_until(lambda: fetched(mount, "catalogs") >= len(CHAIN) + 1)
        far.requests.clear()
        assert read(mount, b"/a/b/c/d/file") == body(b"/a/b/c/d/file")
        assert not any(path.endswith("C") for path in far.requests), "nobody waited for a catalog"


def test_a_chain_of_catalogs_is_here_before_anybody_walks_down(served: Served, tmp_path: Path) -> None:
    with rounds(served.directory) as link:
        request = {**served.request(), "urls": [f"{link.url}/{served.simulator.fqrn}"]}
        with mounted(tmp_path, **request) as mount:
            os.listdir(mount.point / "a")
            wait_until(lambda: fetched(mount, "catalogs") >= len(CHAIN[1:]) + 1)
            before = len(link.rounds)
            assert read(mount, b"/a/b/c/d/file") == body(b"/a/b/c/d/file")
            assert len(link.rounds) - before == 1, "that of the file alone"
            objects = [path for together in link.rounds for path in together if "/data/" in path]
            expected = ["certificate", "root", *CHAIN, "/many", "the file"]
            assert len(objects) == len(expected), "what is wide is not followed before somebody goes there"
            assert ahead(mount)["ahead catalogs used"] == len(CHAIN[1:])
