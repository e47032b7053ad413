"""swrepo and a real dockerd: what the page on containers says of docker's options holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from swrepo.errors import PermissionRefused
from tests.containers.engine import ROOT, SWREPO, empty_image
from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import require_fuse, wait_until

pytestmark = [pytest.mark.mount, pytest.mark.timeout(300)]

HELLO = f"/cvmfs/{FQRN}/hello"
UNCONFINED = ("--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined")
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
_PROGRAMS = ("docker", "dockerd", "containerd", "runc", "unshare")
_DAEMON = """
mount -t tmpfs none /run
exec dockerd --data-root $1/data --exec-root /run/docker --pidfile /run/docker.pid --host unix://$1/socket \\
    --iptables=false --ip6tables=false --bridge=none --storage-driver=vfs --cgroup-parent=/$2
"""
"""Everything of it is in a directory and in namespaces of its own, and ends with these."""


class Docker:
    """A daemon, an image of empty directories, and a repository that is bound into each container."""

    def __init__(self, directory: Path) -> None:
        self.machine = Machine(directory / "site")
        self.socket = directory / "socket"
        self.bound = [Path("/usr"), ROOT, Path(sys.prefix), Path(sys.base_prefix), self.machine.server]

    def run(self, *words: object, code: int = 0) -> str:
        done = subprocess.run(
            ["docker", "--host", f"unix://{self.socket}", *map(str, words)],
            env={"PATH": _PATH, "HOME": str(self.socket.parent)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    def answers(self) -> bool:
        words = ["docker", "--host", f"unix://{self.socket}", "version"]
        return subprocess.run(words, env={"PATH": _PATH}, capture_output=True, check=False).returncode == 0

    def inside(self, *words: object, options: tuple[str, ...] = (), code: int = 0) -> str:
        """What a container wrote."""
        volumes = [f"--volume={path}:{path}:ro" for path in dict.fromkeys(self.bound)]
        fixed = ["run", "--rm", "--network=host", "--device=/dev/fuse", *volumes]
        return self.run(*fixed, *options, "nothing", *words, code=code)

    def exec(self, *words: object) -> list[object]:
        return [SWREPO, "exec", self.machine.storage, "--key", self.machine.key, "--", *words]


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    require_fuse()
    missing = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    if missing or os.geteuid() != 0 or not os.path.islink("/lib"):
        pytest.skip(f"no docker can be started here (root is needed, /lib in /usr, and {', '.join(missing) or 'more'})")
    directory = tmp_path_factory.mktemp("docker")
    found = Docker(directory)
    with _daemon(directory, found) as log:
        if not found.answers():
            pytest.skip(f"dockerd does not run here: {log.read_text()[-500:]}")
        found.run("import", empty_image(directory), "nothing")
        yield found


@contextmanager
def _daemon(directory: Path, docker: Docker) -> Iterator[Path]:
    log, group = directory / "log", f"swrepo-test-{os.getpid()}"
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private"]
    with log.open("w") as out:
        daemon = subprocess.Popen(
            [*namespaces, "sh", "-euc", _DAEMON, "sh", str(directory), group],
            env={"PATH": _PATH, "HOME": str(directory)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        try:
            wait_until(lambda: daemon.poll() is not None or docker.answers(), 60)
            yield log
        finally:
            daemon.kill()
            daemon.wait()
    for path in Path("/sys/fs/cgroup").glob(f"**/{group}"):
        for inner in sorted([path, *(one for one in path.rglob("*") if one.is_dir())], reverse=True):
            with suppress(OSError):
                inner.rmdir()


def test_its_usual_filter_is_named_with_the_option_that_takes_it_away(docker: Docker) -> None:
    said = docker.inside(*docker.exec("true"), code=PermissionRefused.exit_code)
    assert "this container's seccomp filter forbids it" in said
    assert "--security-opt seccomp=unconfined" in said


@pytest.mark.parametrize(
    "options",
    [UNCONFINED, ("--cap-add=SYS_ADMIN", UNCONFINED[1]), (*UNCONFINED, "--user=1000:1000", "--env=HOME=/nowhere")],
    ids=["without the filter", "with the right to mount", "as another user"],
)
def test_a_command_in_a_container_sees_the_repository(docker: Docker, options: tuple[str, ...]) -> None:
    assert docker.inside(*docker.exec("cat", HELLO), options=options) == "hello\n"


def test_a_container_that_may_mount_can_use_the_mount_command(docker: Docker) -> None:
    script = f"""
        mkdir /cvmfs/{FQRN}
        {SWREPO} mount {docker.machine.storage} /cvmfs/{FQRN} --key {docker.machine.key}
        cat {HELLO}
        {SWREPO} umount /cvmfs/{FQRN}
        ls /cvmfs/{FQRN}
    """
    assert docker.inside("sh", "-euc", script, options=("--cap-add=SYS_ADMIN", UNCONFINED[1])) == "hello\n"
