"""Tools that make containers without an engine, as users of clusters have them: bubblewrap and Charliecloud."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.containers.engine import ROOT, SWREPO
from tests.mount import ordinary
from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import require_namespaces

pytestmark = pytest.mark.mount

HELLO = f"/cvmfs/{FQRN}/hello"
MERGED = ("bin", "sbin", "lib", "lib64")
EMPTY = ("etc", "tmp", "proc", "dev", "sys", "run", "root", "home", "cvmfs", "var/tmp", "mnt")


class User:
    """An ordinary user with a repository, and an image of empty directories."""

    def __init__(self, directory: Path) -> None:
        self.machine = Machine(directory)
        self.home = directory / "home"
        self.image = directory / "image"
        self.places = [Path("/usr"), *{ROOT, Path(sys.prefix), Path(sys.base_prefix)}, self.machine.server]
        for name in (*EMPTY, *(str(path)[1:] for path in self.places)):  # the places are bound onto directories
            (self.image / name).mkdir(parents=True, exist_ok=True)
        self.home.mkdir()
        for path in (directory, self.home, self.image, *self.image.rglob("*")):
            path.chmod(0o755)
            if os.geteuid() == 0 and path != directory:
                os.chown(path, ordinary.USER, ordinary.USER)
        for name in MERGED:
            (self.image / name).symlink_to(f"usr/{name}")

    def run(self, *words: object) -> str:
        done = subprocess.run(
            ordinary.command([*map(str, words)], self.home.parent),
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "USER": "tester"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def exec(self, *words: object) -> list[object]:
        return [SWREPO, "exec", self.machine.storage, "--key", self.machine.key, "--", *words]


@pytest.fixture
def user(tmp_path: Path) -> User:
    require_namespaces()
    if not os.path.islink("/lib"):
        pytest.skip("this machine keeps /lib beside /usr")
    return User(tmp_path)


def bubblewrap(user: User) -> list[object]:
    if shutil.which("bwrap") is None:
        pytest.skip("there is no bwrap here")
    places = [word for path in user.places for word in ("--ro-bind", path, path)]
    links = [word for name in MERGED for word in ("--symlink", f"usr/{name}", f"/{name}")]
    own = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    return ["bwrap", *own, *places, *links]


def charliecloud(user: User, *bound: object) -> list[object]:
    if shutil.which("ch-run") is None:
        pytest.skip("there is no ch-run here")
    places = [word for path in (*user.places, *bound) for word in ("-b", f"{path}:{path}")]
    return ["ch-run", "--write", "--no-passwd", *places, user.image, "--"]


def test_exec_inside_of_bubblewrap_needs_the_device_and_nothing_else(user: User) -> None:
    assert user.run(*bubblewrap(user), "--dev-bind", "/dev/fuse", "/dev/fuse", *user.exec("cat", HELLO)) == "hello\n"


def test_bubblewrap_inside_of_exec_binds_what_is_shown(user: User) -> None:
    assert user.run(*user.exec(*bubblewrap(user), "--ro-bind", "/cvmfs", "/cvmfs", "cat", HELLO)) == "hello\n"


def test_exec_inside_of_charliecloud(user: User) -> None:
    assert user.run(*charliecloud(user), *user.exec("cat", HELLO)) == "hello\n"


def test_charliecloud_inside_of_exec(user: User) -> None:
    assert user.run(*user.exec(*charliecloud(user, "/cvmfs"), "cat", HELLO)) == "hello\n"
