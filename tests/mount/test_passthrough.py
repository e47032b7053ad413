"""`-o passthrough`: the kernel reads whole objects from the cache by itself; nothing else changes."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden import golden
from tests.mount.mounted import Mount, mounted, repository, wait_until
from tests.mount.test_golden_mount import compare, is_privileged
from tests.mount.test_killed_worker import DIED, kill, start_reader
from tests.mount.test_reading import Server, over_http, server  # noqa: F401 - a fixture
from tests.mount.test_refresh import Served, contents
from tests.simulated_trees import File

pytestmark = pytest.mark.mount

WHOLE = bytes(range(256)) * 4096
CHUNKED = WHOLE[::-1]
TREE = {
    b"/whole": File(content=WHOLE),
    b"/twin": File(content=WHOLE),
    b"/chunked": File(content=CHUNKED, chunk_size=300_000),
    b"/empty": File(),
    b"/program": File(content=b"#!/bin/sh\necho it runs\n", mode=0o755),
}
NOT_HERE = ("no passthrough",)


def requests(mount: Mount, name: str) -> int:
    return mount.counters().get(f"requests {name}", 0)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    found = Served(tmp_path)
    found.publish(TREE, ())
    return found


def require_passthrough(mount: Mount) -> None:
    """Skip where the kernel or the privilege is missing, which the log then says."""
    text = mount.log.read_text()
    if "no passthrough" in text:
        pytest.skip(next(line for line in text.splitlines() if "no passthrough" in line))


@pytest.fixture
def mount(served: Served, tmp_path: Path):
    with mounted(tmp_path, expected=NOT_HERE, **served.request(), passthrough=True) as mount:
        assert (mount.point / "whole").read_bytes() == WHOLE
        require_passthrough(mount)
        yield mount


def test_a_whole_object_is_read_without_a_request_to_our_process(mount: Mount) -> None:
    assert requests(mount, "OPEN") == 1
    with open(mount.point / "whole", "rb") as file:
        assert os.pread(file.fileno(), 5000, 123_456) == WHOLE[123_456:128_456]
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            assert mapped[:] == WHOLE
    assert requests(mount, "READ") == 0


def test_chunked_and_empty_files_are_read_through_our_process(mount: Mount) -> None:
    assert (mount.point / "chunked").read_bytes() == CHUNKED
    assert (mount.point / "empty").read_bytes() == b""
    assert requests(mount, "READ") > 0


def test_programs_run(mount: Mount) -> None:
    assert subprocess.run([mount.point / "program"], check=True, capture_output=True).stdout == b"it runs\n"


def test_readers_that_overlap_read_the_same_file(mount: Mount) -> None:
    first = open(mount.point / "whole", "rb")  # noqa: SIM115
    second = open(mount.point / "whole", "rb")  # noqa: SIM115
    first.close()
    third = open(mount.point / "whole", "rb")  # noqa: SIM115
    assert second.read() == third.read() == WHOLE
    second.close()
    third.close()
    assert requests(mount, "OPEN") == 4
    wait_until(lambda: requests(mount, "RELEASE") == 4)


def test_an_open_file_keeps_its_bytes_when_the_cache_loses_them(mount: Mount) -> None:
    with open(mount.point / "whole", "rb") as file:
        shutil.rmtree(mount.cache, ignore_errors=True)
        with open(mount.point / "whole", "rb") as again:
            assert again.read() == WHOLE
        assert file.read() == WHOLE


def test_golden_repositories_look_and_read_the_same(tmp_path: Path) -> None:
    for name in ("hardlinks", "chunked"):
        repo = golden(name)
        directory = tmp_path / name
        directory.mkdir()
        with mounted(directory, expected=NOT_HERE, **repository(repo), passthrough=True) as mount:
            compare(repo.rows, mount.point)


def test_a_missing_object_is_an_error_of_open_that_passes(server: Server, tmp_path: Path) -> None:  # noqa: F811
    repo = golden("basic")
    row = max((row for row in repo.rows if row.type == "f"), key=lambda row: row.size)
    expected = (*NOT_HERE, "failed", "EIO")
    with mounted(tmp_path, expected=expected, **over_http(server, repo, tmp_path), passthrough=True) as mount:
        path = mount.point / row.path.decode()[1:]
        assert path.stat().st_size == row.size
        server.down = True
        with pytest.raises(OSError):
            path.read_bytes()
        server.down = False

        def is_back() -> bool:
            try:
                return len(path.read_bytes()) == row.size
            except OSError:
                return False

        wait_until(is_back)


def test_who_waits_for_an_open_can_be_killed(server: Server, tmp_path: Path) -> None:  # noqa: F811
    repo = golden("basic")
    row = max((row for row in repo.rows if row.type == "f"), key=lambda row: row.size)
    with mounted(tmp_path, expected=NOT_HERE, **over_http(server, repo, tmp_path), passthrough=True) as mount:
        path = mount.point / row.path.decode()[1:]
        assert path.stat().st_size == row.size
        server.requests.clear()
        server.go.clear()
        reader = subprocess.Popen([sys.executable, "-c", "import sys; open(sys.argv[1]).read()", path])
        wait_until(lambda: len(server.requests) > 0)
        reader.kill()
        reader.wait(timeout=20)
        server.go.set()
        assert len(path.read_bytes()) == row.size


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand files to the kernel")
def test_the_next_worker_knows_what_is_open(served: Served, tmp_path: Path) -> None:
    expected = (*NOT_HERE, *DIED)
    with mounted(tmp_path, expected=expected, **served.request(), passthrough=True) as mount:
        path = mount.point / "whole"
        reader = start_reader(path)
        require_passthrough(mount)
        kill(mount)
        assert path.read_bytes() == WHOLE, "it can be opened again while the first reader has it open"
        digest = reader.communicate("go\n", timeout=60)[0]
        assert path.read_bytes() == WHOLE
        assert requests(mount, "READ") == 0
    assert digest


def test_a_cache_that_the_kernel_cannot_take_files_from_is_read_as_without(served: Served, tmp_path: Path) -> None:
    if not is_privileged():
        pytest.skip("only root can mount an overlay")
    for name in ("lower", "upper", "work", "cache"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    cache = str(tmp_path / "cache")
    if subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", cache], check=False).returncode:
        pytest.skip("an overlay cannot be mounted here")
    try:
        with mounted(tmp_path, expected=NOT_HERE, **served.request(), passthrough=True) as mount:
            for _ in range(2):
                assert contents(mount.point)[b"/whole"] == WHOLE
            assert mount.log.read_text().count("no passthrough") == 1
            before = requests(mount, "OPEN")
            assert (mount.point / "twin").read_bytes() == WHOLE
            assert requests(mount, "OPEN") == before, "the kernel remembers to open files by itself"
    finally:
        subprocess.run(["umount", "-l", cache], check=True)
