"""A real container engine (podman with crun) and an image made of nothing, for tests: no registry, no network.

The image has empty directories only; programs are those of the machine, bound into the container read-only. Everything
that the engine writes is in one directory, and everything that has to be as on other machines (one tree of control
groups, a user with subordinate numbers) is so in a mount namespace of the test's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.mount import ordinary
from tests.mount.programs import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
SWREPO = PROGRAMS / "swrepo"
IMAGE = "localhost/nothing"
_DIRECTORIES = ("usr", "etc", "tmp", "proc", "dev", "sys", "run", "root", "home", "cvmfs", "var/tmp")
_MERGED = ("bin", "sbin", "lib", "lib64")

_AS_ELSEWHERE = """
set -e
mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null || :
mount -t tmpfs -o mode=755 none /run
mkdir -m 700 -p /run/user/{user} && chown {user}:{user} /run/user/{user}
for name in passwd group subuid subgid; do
    [ -e /etc/$name ] || continue
    {{ cat /etc/$name; cat {directory}/$name; }} >{directory}/all.$name
    mount --bind {directory}/all.$name /etc/$name
done
exec "$@"
"""
"""Podman wants a control group hierarchy of one kind, and a user whom the tables know."""


def users(directory: Path) -> None:
    """What is added to the tables of users."""
    number = ordinary.USER
    (directory / "passwd").write_text(f"tester:x:{number}:{number}::{directory}/home:/bin/sh\n")
    (directory / "group").write_text(f"tester:x:{number}:\n")
    for name in ("subuid", "subgid"):
        (directory / name).write_text("tester:300000:65536\n")


# Processes of their own as well: the engine of an ordinary user leaves one behind, which would keep the mounts.
_PRIVATE = ("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc")


class Engine:
    """Podman, as root or (`is_ordinary`) as an ordinary user, with `runtime`: crun or runc."""

    def __init__(self, directory: Path, *, is_ordinary: bool, runtime: str = "crun") -> None:
        self.is_ordinary = is_ordinary
        self.runtime = runtime
        self.directory = directory
        self.home = directory / "home"
        self.home.mkdir()
        users(directory)
        directory.chmod(0o755)
        self.bound: list[Path] = [ROOT, Path(sys.prefix), Path(sys.base_prefix)]
        if is_ordinary and os.geteuid() == 0:
            os.chown(self.home, ordinary.USER, ordinary.USER)
        self._import()

    def podman(self, *words: object) -> list[str]:
        """The engine's command line."""
        run = Path(self.environment()["XDG_RUNTIME_DIR"])
        own = ["--storage-driver", "vfs", "--root", self.home / "storage", "--runroot", run / "containers"]
        own += ["--tmpdir", run / "engine", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
        own += ["--runtime", self.runtime]
        found = ["podman", *map(str, own), *map(str, words)]
        return ordinary.command(found, self.directory.parent) if self.is_ordinary else found

    def run_words(self, *words: object, options: tuple[object, ...] = (), device: bool = True) -> list[str]:
        """The command line that runs `words` in a container."""
        outer = [path for path in self.bound if not path.is_relative_to("/usr")]
        volumes = [f"--volume={path}:{path}:ro" for path in (Path("/usr"), *_outermost(outer))]
        fixed = ["run", "--rm", "--pull=never", "--network=host", *_limits(), *volumes]
        fixed += ["--cgroups=disabled"] if self.runtime == "crun" else ["--pids-limit=-1"]  # runc knows no "disabled"
        fixed += ["--device=/dev/fuse"] if device else []
        return self.podman(*fixed, *options, IMAGE, *words)

    def shell(self, script: str, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a script where the engine works; `$@` are `words`."""
        prepare = _AS_ELSEWHERE.format(user=ordinary.USER, directory=self.directory)
        inner = ["sh", "-euc", script, "sh", *map(str, words)]
        done = subprocess.run(
            [*_PRIVATE, "sh", "-c", prepare, "sh", *inner],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
        return done

    def run(self, *words: object, code: int = 0, **more) -> subprocess.CompletedProcess[str]:
        """Run `words` in a container."""
        return self.shell('"$@"', *self.run_words(*words, **more), code=code)

    def environment(self) -> dict[str, str]:
        number = ordinary.USER if self.is_ordinary else 0
        return {
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": f"/run/user/{number}" if number else "/run",
        }

    def _import(self) -> None:
        archive = empty_image(self.directory)
        self.shell('"$@"', *self.podman("import", "--quiet", archive, IMAGE))


def empty_image(directory: Path) -> Path:
    """An archive of empty directories, made in `directory`, as an image's contents."""
    tree = directory / "nothing"
    for name in _DIRECTORIES:
        (tree / name).mkdir(parents=True)
    for name in _MERGED:
        if os.path.islink(f"/{name}"):
            (tree / name).symlink_to(f"usr/{name}")
    for name in ("tmp", "var/tmp"):
        (tree / name).chmod(0o1777)
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    archive = directory / "nothing.tar"
    with tarfile.open(archive, "w") as file:
        file.add(tree, ".")
    return archive


def _limits() -> list[str]:
    """Low ones: an engine that may not raise them must not try."""
    return [f"--ulimit={name}=4096:4096" for name in ("nofile", "nproc")]


def _outermost(paths: list[Path]) -> list[Path]:
    return [
        path for path in dict.fromkeys(paths) if not any(path.is_relative_to(other) for other in paths if other != path)
    ]


def require_engine(directory: Path, *more: str) -> None:
    """Skip where no engine can run, or one of `more` programs is missing."""
    if os.geteuid() != 0:
        pytest.skip("only root can make the surroundings that the engine needs")
    for program in ("podman", "crun", "unshare", *more):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"there is no {program} here")
    if not os.path.islink("/lib"):
        pytest.skip("this machine keeps /lib beside /usr")
    del directory
