"""kill -9 of the process that serves a mount: another takes its place, and who reads does not notice."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from swrepo.errors import MountFailed
from swrepo.mount.start import umount
from tests.golden import golden
from tests.mount.mounted import Mount, mounted, repository, wait_until
from tests.mount.test_golden_mount import compare
from tests.mount.test_one_mount_for_all import entry
from tests.mount.test_reading import Server, over_http, server  # noqa: F401 - a fixture
from tests.mount.test_refresh import FIRST, Served, contents, expected, second, served  # noqa: F401 - a fixture

pytestmark = pytest.mark.mount

OPEN = ("-type", "d", "(", "!", "-readable", "-o", "!", "-executable", ")", "-prune", "-o")
"""For find: what lies in directories that this user may look into."""

DIED = ("another takes its place",)

READER = """
import hashlib, os, sys
with open(sys.argv[1], "rb", buffering=0) as file:
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
    digest = hashlib.sha256(file.read(4096))
    print("open", flush=True)
    sys.stdin.readline()
    while block := file.read(1 << 16):
        digest.update(block)
print(digest.hexdigest())
"""


def kill(mount: Mount) -> int:
    """Kill the worker; the number of the next one, once it answers."""
    before = int(mount.ask("pid"))
    os.kill(before, signal.SIGKILL)
    after = before

    def is_back() -> bool:
        nonlocal after
        try:
            after = int(mount.ask("pid"))
        except (MountFailed, AssertionError):
            return False
        return after != before

    wait_until(is_back)
    return after


def start_reader(path: Path) -> subprocess.Popen[str]:
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "open\n"
    return reader


def test_another_worker_takes_its_place_and_says_so(tmp_path: Path) -> None:
    repo = golden("nested")
    with mounted(tmp_path, expected=DIED, **repository(repo)) as mount:
        before = contents(mount.point)

        kill(mount)

        assert mount.is_mounted
        assert contents(mount.point) == before
        compare(repo.rows, mount.point)
        assert "(signal SIGKILL); another takes its place" in mount.log.read_text()


def test_what_the_kernel_keeps_it_goes_on_to_keep(tmp_path: Path) -> None:
    with mounted(tmp_path, expected=DIED, **repository(golden("nested"))) as mount:
        contents(mount.point)
        subprocess.run(["find", str(mount.point), *OPEN, "-ls"], check=True, stdout=subprocess.DEVNULL)

        kill(mount)
        subprocess.run(["find", str(mount.point), *OPEN, "-ls"], check=True, stdout=subprocess.DEVNULL)

        asked = mount.requests()
        if os.geteuid() != 0:  # before it refuses a closed directory, the kernel makes sure that it still is
            asked.pop("requests GETATTR", None)
        assert asked == {}


def test_an_open_file_is_read_to_its_end(tmp_path: Path) -> None:
    row = max((row for row in golden("chunked").rows if row.type == "f"), key=lambda row: row.size)
    with mounted(tmp_path, expected=DIED, **repository(golden("chunked"))) as mount:
        reader = start_reader(mount.point / row.path.decode()[1:])

        kill(mount)

        assert reader.communicate("go\n", timeout=60)[0].split() == [row.sha256]


def test_requests_under_way_are_answered_by_the_next_worker(server: Server, tmp_path: Path) -> None:  # noqa: F811
    repo = golden("basic")
    row = max((row for row in repo.rows if row.type == "f"), key=lambda row: row.size)
    with mounted(tmp_path, expected=DIED, **over_http(server, repo, tmp_path)) as mount:
        path = mount.point / row.path.decode()[1:]
        server.requests.clear()
        server.go.clear()
        readers = [subprocess.Popen(["sha256sum", str(path)], stdout=subprocess.PIPE) for _ in range(8)]
        wait_until(lambda: len(server.requests) > 0)

        kill(mount)
        wait_until(lambda: len(server.requests) > 1)
        server.go.set()

        assert {reader.communicate(timeout=60)[0].split()[0].decode() for reader in readers} == {row.sha256}


def test_a_request_that_kills_each_worker_fails_and_the_mount_goes_on(server: Server, tmp_path: Path) -> None:  # noqa: F811
    repo = golden("nested")
    nested = next(row.path.decode() for row in repo.rows if row.path.endswith(b"/.cvmfscatalog")).rpartition("/")[0]
    poison = "died while they answered it"
    with mounted(tmp_path, expected=(*DIED, poison), **over_http(server, repo, tmp_path)) as mount:
        server.requests.clear()
        server.go.clear()
        lister = subprocess.Popen(["ls", str(mount.point) + nested], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        for kills in range(6):
            wait_until(lambda number=kills: len(server.requests) > number)
            kill(mount)

        assert b"Input/output error" in lister.communicate(timeout=60)[1]
        assert poison in mount.log.read_text()
        server.go.set()
        assert os.listdir(str(mount.point) + nested)


def test_a_later_revision_is_shown_and_an_open_file_keeps_its_bytes(served: Served, tmp_path: Path) -> None:  # noqa: F811
    old = os.urandom(3_000_000)
    served.publish({**FIRST, b"/large": FIRST[b"/kept"].__class__(content=old)})
    with mounted(tmp_path, expected=DIED, **served.request()) as mount:
        assert contents(mount.point)[b"/large"] == old
        subprocess.run(["dd", f"if={mount.point}/large", "iflag=nocache", "count=0"], check=True, capture_output=True)
        reader = start_reader(mount.point / "large")
        inodes = {name: (mount.point / name).stat().st_ino for name in ("kept", "dir", "nested/deep/file")}
        served.publish(second())
        mount.ask("remount")

        kill(mount)

        assert contents(mount.point) == expected(second())
        assert {name: (mount.point / name).stat().st_ino for name in inodes} == inodes
        served.publish({**second(), b"/dir/inner": FIRST[b"/kept"]})
        mount.ask("remount sync")
        assert (mount.point / "dir/inner").read_bytes() == FIRST[b"/kept"].content
        kill(mount)
        assert reader.communicate("go\n", timeout=60)[0].split() == [hashlib.sha256(old).hexdigest()]
        assert not (mount.point / "large").exists()


def test_repositories_below_one_directory_come_back(tmp_path: Path) -> None:
    repos = (golden("none"), golden("rmd160"))
    repositories = {repo.fqrn: entry(repo, tmp_path / "cache") for repo in repos}
    with mounted(tmp_path, expected=DIED, repositories=repositories) as mount:
        inode = (mount.point / repos[0].fqrn).stat().st_ino

        kill(mount)

        assert os.listdir(mount.point) == [repos[0].fqrn]
        assert (mount.point / repos[0].fqrn).stat().st_ino == inode
        for repo in repos:
            compare(repo.rows, mount.point / repo.fqrn)


def test_readers_at_work_see_nothing_of_many_kills(tmp_path: Path) -> None:
    repo = golden("nested")
    with mounted(tmp_path, expected=DIED, **repository(repo)) as mount:
        shown = [
            row for row in repo.rows if row.type == "f" and os.access(f"{mount.point}{row.path.decode()}", os.R_OK)
        ]
        find = f"find . {shlex.join(OPEN)} -type f -readable -print0"
        command = f"for i in 1 2 3; do {find} | sort -z | xargs -0 sha256sum; done"
        readers = [
            subprocess.Popen(["bash", "-ec", command], cwd=mount.point, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(4)
        ]
        kills = 0
        while any(reader.poll() is None for reader in readers) and kills < 8:
            kill(mount)
            kills += 1
        outputs = [reader.communicate(timeout=120) for reader in readers]
    wanted = sorted(3 * [f"{row.sha256}  .{row.path.decode()}" for row in shown])
    for output, errors in outputs:
        assert errors == b""
        assert sorted(output.decode().splitlines()) == wanted
    assert kills


def test_without_a_server_it_comes_back_all_the_same(server: Server, tmp_path: Path) -> None:  # noqa: F811
    repo = golden("nested")
    with mounted(tmp_path, expected=(*DIED, "stays at its revision"), **over_http(server, repo, tmp_path)) as mount:
        before = contents(mount.point)
        server.down = True

        kill(mount)

        assert contents(mount.point) == before


def test_unmounting_ends_the_successor_too(tmp_path: Path) -> None:
    with mounted(tmp_path, expected=DIED, **repository(golden("basic"))) as mount:
        pid = kill(mount)

        umount(str(mount.point))

        wait_until(lambda: not Path(f"/proc/{pid}").exists())
        assert not mount.is_mounted
