"""A new revision while programs run, list and map: theirs stays, and nothing but what changed is asked for again."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mount.mounted import Mount, mounted, wait_until
from tests.mount.posix import libc
from tests.mount.test_posix_directories import names, piece, pieces
from tests.mount.test_refresh import FIRST, Served
from tests.publishing import Server
from tests.simulated_trees import File

pytestmark = pytest.mark.mount

MANY = {b"/many/file%05d" % number: File(content=b"%d" % number) for number in range(1500)}


@pytest.fixture
def served(tmp_path: Path) -> Served:
    found = Served(tmp_path)
    found.publish(FIRST | MANY)
    return found


@pytest.fixture
def mount(served: Served, tmp_path: Path):
    with mounted(tmp_path, **served.request()) as mount:
        yield mount


def shifted(revision: int) -> dict:
    """New names that come first, so that the rows of all others move, and others gone."""
    new = {b"/many/A%05d" % number: File(content=b"%d" % revision) for number in range(9 * revision)}
    kept = {path: node for number, (path, node) in enumerate(MANY.items()) if number % 100 != revision}
    return FIRST | new | kept


def test_the_time_to_live_brings_a_new_revision_by_itself(tmp_path: Path) -> None:
    server = Server(tmp_path / "server")
    (server.tree / "file").write_text("old bytes")
    server.publish()
    places = server.places
    urls, keys = [places.storage.as_uri()], [str(places.keys.public)]
    with mounted(tmp_path / "client", urls=urls, keys=keys, clock=server.now().isoformat(), max_ttl=1) as mount:
        assert (mount.point / "file").read_text() == "old bytes"
        (server.tree / "file").write_text("new bytes")
        server.publish()
        wait_until(lambda: (mount.point / "file").read_text() == "new bytes")
    assert "revision 3 follows 2" in mount.log.read_text()


@pytest.mark.parametrize("revisions", [1, 2, 6])
def test_a_listing_ends_in_the_revision_it_began_in_however_many_follow(
    served: Served, mount: Mount, revisions: int
) -> None:
    descriptor = os.open(mount.point / "many", os.O_RDONLY | os.O_DIRECTORY)
    found = piece(descriptor)
    for revision in range(1, revisions + 1):
        served.publish(shifted(revision))
        mount.ask("remount")
        found += piece(descriptor)
    last = [record for part in pieces(descriptor) for record in part]
    found += last
    os.close(descriptor)

    assert sorted(names(found)[2:]) == sorted(path.rpartition(b"/")[2] for path in MANY)
    now = {path.rpartition(b"/")[2] for path in shifted(revisions) if path.startswith(b"/many/")}
    assert set(os.listdir(os.fsencode(mount.point / "many"))) == now
    for name, inode, _, _ in last:
        if name in now:
            assert os.stat(os.fsencode(mount.point) + b"/many/" + name).st_ino == inode


def test_a_position_that_was_kept_is_good_in_later_revisions(served: Served, mount: Mount) -> None:
    descriptor = os.open(mount.point / "many", os.O_RDONLY | os.O_DIRECTORY)
    whole = [record for part in pieces(descriptor) for record in part]
    for revision in range(1, 4):
        served.publish(shifted(revision))
        mount.ask("remount")
    for index in (1400, 7, 800):
        os.lseek(descriptor, whole[index][3], os.SEEK_SET)
        rest = [name for part in pieces(descriptor) for name in names(part)]
        assert rest == names(whole)[index + 1 :]
    os.close(descriptor)


def test_a_running_program_and_a_mapping_keep_their_bytes(served: Served, mount: Mount) -> None:
    program = File(content=Path(shutil.which("cat") or "/bin/cat").resolve().read_bytes(), mode=0o755)
    served.publish(FIRST | {b"/cat": program, b"/mapped": File(content=b"old" * 10_000)})
    mount.ask("remount")
    running = subprocess.Popen([mount.point / "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with (mount.point / "mapped").open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    served.publish(
        FIRST | {b"/cat": File(content=b"no program any more", mode=0o755), b"/mapped": File(content=b"new")}
    )
    mount.ask("remount")

    assert mapping[:] == b"old" * 10_000
    mapping.close()
    with open(f"/proc/{running.pid}/exe", "rb") as own:
        assert own.read() == program.content
    assert running.communicate(b"it still copies", timeout=20)[0] == b"it still copies"
    assert (mount.point / "mapped").read_bytes() == b"new"


def test_only_the_directory_that_changed_is_asked_for_again(served: Served, mount: Mount) -> None:
    walk_and_read(mount)
    walk_and_read(mount)
    served.publish(FIRST | MANY | {b"/dir/added": File(content=b"added")})
    assert mount.ask("remount") == "revision 3 follows 2"
    before = mount.requests()

    walk_and_read(mount)

    after = mount.requests()
    asked = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert sum(asked.values()) < 10, asked
    assert asked.get("requests READ", 0) <= 1, "the new file"


def walk_and_read(mount: Mount) -> None:
    script = "find . -type f -printf '%s %T@ %p\\n' > /dev/null; find . -type f -exec cat {} + > /dev/null"
    subprocess.run(["sh", "-c", script], cwd=mount.point, check=True)


def test_a_name_that_was_not_there_is_found_when_it_comes_and_missed_when_it_goes(served: Served, mount: Mount) -> None:
    """From another program: each look-up of a name that is not there is remembered by the kernel."""

    def exists() -> bool:
        return subprocess.run(["test", "-e", mount.point / "dir" / "comes"], check=False).returncode == 0

    for _ in range(3):
        assert not exists()
        served.publish(FIRST | {b"/dir/comes": File(content=b"here")})
        mount.ask("remount")
        assert exists()
        served.publish(FIRST)
        mount.ask("remount")


def test_a_removed_working_directory_is_empty_and_the_others_go_on(served: Served, mount: Mount) -> None:
    script = """
import os, sys
print("ready", flush=True)
sys.stdin.readline()
print(os.listdir("."), os.path.exists("inner"), os.stat(".").st_mode, os.listdir("/proc/self/cwd"))
"""
    user = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=mount.point / "dir",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert user.stdout is not None
    assert user.stdout.readline() == "ready\n"
    served.publish({path: node for path, node in FIRST.items() if not path.startswith(b"/dir/")})
    mount.ask("remount")

    assert user.communicate("\n", timeout=20)[0] == "[] False 16877 []\n"
    assert not (mount.point / "dir").exists()


def test_a_watch_is_not_told_of_a_new_revision(served: Served, mount: Mount) -> None:
    watcher = libc.inotify_init1(os.O_NONBLOCK)
    for name in ("", "dir", "dir/inner", "changed"):
        assert libc.inotify_add_watch(watcher, os.fsencode(mount.point / name), 0xFFF) >= 0
    served.publish(FIRST | {b"/changed": File(content=b"new"), b"/dir/added": File(content=b"added")})
    mount.ask("remount")

    with pytest.raises(BlockingIOError):
        os.read(watcher, 4096)
    os.close(watcher)
    assert (mount.point / "changed").read_bytes() == b"new"
