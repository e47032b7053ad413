"""A new revision under a live mount: what changed is seen at once, what did not is not read again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden import golden
from tests.mount.mounted import Mount, mounted, repository, wait_until
from tests.mount.test_golden_mount import compare, walk
from tests.simulated_trees import Directory, File, Symlink
from tests.simulator import NOW, RepositorySimulator

pytestmark = pytest.mark.mount

FIRST = {
    b"/kept": File(content=b"the same in both" * 1000),
    b"/changed": File(content=b"old bytes"),
    b"/removed": File(content=b"removed bytes"),
    b"/link": Symlink(target=b"kept"),
    b"/dir/inner": File(content=b"inner"),
    b"/dir/removed": File(content=b"x"),
    b"/becomes-directory": File(content=b"a file"),
    b"/becomes-file/inside": File(content=b"inside"),
    b"/nested/file": File(content=b"in a nested catalog"),
    b"/nested/deep/file": File(content=b"deeper"),
    b"/other/file": File(content=b"in another nested catalog" * 100),
    b"/twin": File(content=b"twins", link="a"),
    b"/twin2": File(content=b"twins", link="a"),
}
NESTED = (b"/nested", b"/other")


def second(**changes) -> dict:
    tree = dict(FIRST)
    del tree[b"/removed"], tree[b"/dir/removed"], tree[b"/becomes-file/inside"], tree[b"/becomes-directory"]
    tree.update(
        {
            b"/added": File(content=b"added bytes"),
            b"/changed": File(content=b"new bytes, more of them"),
            b"/dir/added": File(content=b"added below"),
            b"/becomes-directory/inside": File(content=b"inside now"),
            b"/becomes-file": File(content=b"a file now"),
            b"/nested/file": File(content=b"changed in a nested catalog"),
            b"/link": Symlink(target=b"added"),
            b"/AAA": Directory(),  # first in its directory: shifts the rows of all others
        }
    )
    return tree | changes


class Served:
    """A simulated repository in a directory, served from there and mounted."""

    def __init__(self, directory: Path) -> None:
        self.simulator = RepositorySimulator()
        self.directory = directory / "srv"
        self.key = directory / "key.pub"
        self.directory.mkdir()
        self.key.write_bytes(b"".join(key.pem for key in self.simulator.anchors.keys))

    def publish(self, tree, nested=NESTED) -> None:
        self.simulator.publish(tree, nested)
        self.simulator.save(self.directory)

    def request(self) -> dict:
        url = (self.directory / self.simulator.fqrn).as_uri()
        return {"urls": [url], "keys": [str(self.key)], "clock": NOW.isoformat()}


@pytest.fixture
def served(tmp_path: Path) -> Served:
    found = Served(tmp_path)
    found.publish(FIRST)
    return found


@pytest.fixture
def mount(served: Served, tmp_path: Path):
    with mounted(tmp_path, **served.request()) as mount:
        yield mount


def contents(point: Path) -> dict[bytes, bytes]:
    """Every file's bytes, links' targets, and None for directories: as `find` and `cat` see it."""
    found: dict[bytes, bytes] = {}
    top = os.fsencode(point)
    for directory, directories, files in os.walk(top):
        for name in files:
            path = directory + b"/" + name
            found[path[len(top) :]] = (
                os.readlink(path) if os.path.islink(path) else Path(os.fsdecode(path)).read_bytes()
            )
        for name in directories:
            assert os.lstat(directory + b"/" + name)
    return found


def expected(tree) -> dict[bytes, bytes]:
    return {
        path: node.target if isinstance(node, Symlink) else node.content
        for path, node in tree.items()
        if not isinstance(node, Directory)
    }


def test_everything_that_changed_is_seen_at_once(served: Served, mount: Mount) -> None:
    assert contents(mount.point) == expected(FIRST)
    assert not (mount.point / "added").exists()
    served.publish(second())

    assert mount.ask("remount") == "revision 3 follows 2"

    assert (mount.point / "changed").read_bytes() == b"new bytes, more of them"
    assert (mount.point / "changed").stat().st_size == 23
    assert not (mount.point / "removed").exists()
    assert (mount.point / "added").read_bytes() == b"added bytes"
    assert sorted(os.listdir(mount.point / "dir")) == ["added", "inner"]
    assert contents(mount.point) == expected(second())


def test_remount_without_a_new_revision_says_so_and_forgets_nothing(mount: Mount) -> None:
    contents(mount.point)
    before = mount.requests()

    assert mount.ask("remount") == "revision 2 is the newest"

    walk_quietly(mount)
    after = mount.requests()
    assert after["requests READ"] == before["requests READ"]
    assert after.get("requests LOOKUP") == before.get("requests LOOKUP")


def walk_quietly(mount: Mount) -> None:
    """Read every file without asking whether it is a terminal, as Python's `open` does."""
    subprocess.run(["sh", "-c", f"find '{mount.point}' -type f -exec cat {{}} + > /dev/null"], check=True)


def test_a_file_that_is_open_keeps_its_bytes(served: Served, mount: Mount) -> None:
    changed = os.open(mount.point / "changed", os.O_RDONLY)
    removed = os.open(mount.point / "removed", os.O_RDONLY)
    served.publish(second())
    mount.ask("remount")

    assert os.read(changed, 100) == b"old bytes"
    assert os.read(removed, 100) == b"removed bytes"
    assert os.fstat(changed).st_size == 9
    os.close(changed)
    os.close(removed)
    assert (mount.point / "changed").read_bytes() == b"new bytes, more of them"


def test_a_file_that_did_not_change_is_not_read_again(served: Served, mount: Mount) -> None:
    (mount.point / "kept").read_bytes()
    (mount.point / "twin").read_bytes()
    (mount.point / "other/file").read_bytes()
    numbers = {name: (mount.point / name).stat().st_ino for name in ("kept", "twin", "twin2", "other/file", "dir")}
    served.publish(second())
    mount.ask("remount")
    before = mount.counters()

    assert (mount.point / "kept").read_bytes() == FIRST[b"/kept"].content
    assert (mount.point / "twin2").read_bytes() == b"twins"
    assert (mount.point / "other/file").read_bytes() == FIRST[b"/other/file"].content

    after = mount.counters()
    assert after["requests READ"] == before["requests READ"]
    assert after["cache fetched"] == before["cache fetched"]
    assert {name: (mount.point / name).stat().st_ino for name in numbers} == numbers


def test_a_changed_file_gets_another_number(served: Served, mount: Mount) -> None:
    number = (mount.point / "changed").stat().st_ino
    served.publish(second())
    mount.ask("remount")

    assert (mount.point / "changed").stat().st_ino != number


def test_a_working_directory_lives_on_and_shows_the_new_revision(served: Served, mount: Mount) -> None:
    script = "import os, sys; print('ready', flush=True); sys.stdin.readline(); print(sorted(os.listdir('.'))); print(open('added').read())"
    user = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=mount.point / "dir",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert user.stdout.readline() == "ready\n"
    served.publish(second())
    mount.ask("remount")

    assert user.communicate("\n", timeout=20)[0] == "['added', 'inner']\nadded below\n"


def test_a_listing_under_way_shows_no_name_twice(served: Served, mount: Mount) -> None:
    many = {b"/many/file%05d" % number: File(content=b"") for number in range(3000)}
    served.publish(FIRST | many)
    mount.ask("remount")
    with os.scandir(mount.point / "many") as listing:
        names = [next(listing).name]
        served.publish(second() | many | {b"/many/AAA": File(), b"/many/new": File()})
        mount.ask("remount")
        names += [entry.name for entry in listing]

    assert len(names) == len(set(names))
    assert {f"file{number:05d}" for number in range(3000)} <= set(names)
    assert len(os.listdir(mount.point / "many")) == 3002


def test_nested_catalogs_come_and_go(served: Served, mount: Mount) -> None:
    for nested in ((), (b"/dir", b"/nested/deep", b"/nested"), (b"/other",), NESTED):
        contents(mount.point)
        served.publish(FIRST | {b"/stamp": File(content=repr(nested).encode())}, nested)
        mount.ask("remount")
        assert contents(mount.point) == expected(FIRST) | {b"/stamp": repr(nested).encode()}


def test_sighup_looks_for_a_new_revision(served: Served, mount: Mount) -> None:
    assert (mount.point / "changed").read_bytes() == b"old bytes"
    served.publish(second())

    os.kill(int(mount.ask("pid")), signal.SIGHUP)

    wait_until(lambda: mount.ask("revision") == "3")
    wait_until(lambda: (mount.point / "changed").read_bytes() == b"new bytes, more of them")


def test_a_new_revision_that_cannot_be_trusted_is_not_shown(served: Served, tmp_path: Path) -> None:
    with mounted(tmp_path, **served.request()) as mount:
        contents(mount.point)
        served.simulator.publish(second(), NESTED)
        served.simulator.sign_manifest(by=2)
        served.simulator.save(served.directory)

        assert mount.ask("remount").startswith("error: ")

        assert contents(mount.point) == expected(FIRST)


def test_one_revision_of_the_original_after_another(tmp_path: Path) -> None:
    repo = golden("history")
    served = tmp_path / repo.fqrn
    for state in (repo.served, repo.served_before("gc"), repo.served_before("rollback")):  # the oldest documents last
        shutil.copytree(state, served, dirs_exist_ok=True)
    with mounted(tmp_path, **{**repository(repo), "urls": [served.as_uri()]}) as mount:
        revision = int(mount.ask("revision"))
        walk(os.fsencode(mount.point), set())
        for state in (repo.served_before("gc"), repo.served):
            shutil.copytree(state, served, dirs_exist_ok=True)
            assert "error" not in mount.ask("remount")
        assert int(mount.ask("revision")) > revision
        compare(repo.rows, mount.point)
