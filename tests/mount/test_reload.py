"""`reload`: another program, with the code and the configuration of the moment, goes on with a live mount."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import swrepo
from swrepo.mount.handover import Handover
from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import require_fuse
from tests.mount.test_killed_worker import start_reader

pytestmark = pytest.mark.mount

LARGE = bytes(range(256)) * 8192


class Installed(Machine):
    """A machine on which swrepo is installed from a copy of the sources, which a test may change."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        (self.prefix / "cvmfs").mkdir()
        self.code = directory / "code"
        shutil.copytree(
            Path(swrepo.__file__).parent, self.code / "swrepo", ignore=shutil.ignore_patterns("__pycache__")
        )
        self.publish("large", LARGE.decode("latin-1"))
        self.environment = {
            "PATH": os.environ["PATH"],
            "SWREPO_PREFIX": str(self.prefix),
            "PYTHONPATH": str(self.code),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def swrepo(self, *words: object, code: int = 0) -> str:
        program = [sys.executable, "-m", "swrepo.cli.main", *map(str, words)]
        done = subprocess.run(
            program, env=self.environment, cwd=self.prefix, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def talk(self, *words: str, code: int = 0) -> str:
        return self.swrepo("talk", self.point, *words, code=code)

    def change(self, module: str, before: str, after: str) -> None:
        path = self.code / "swrepo" / module
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Installed]:
    require_fuse()
    found = Installed(tmp_path)
    yield found
    found.unmount()


def test_the_new_program_has_the_new_code_and_files_stay_open(machine: Installed) -> None:
    machine.swrepo("mount", FQRN, "mnt")  # by a relative path, as users do
    inode = (machine.point / "hello").stat().st_ino
    reader = start_reader(machine.point / "large")
    machine.change("__init__.py", f'"{swrepo.__version__}"', '"99.9"')
    before = machine.talk("pid")

    assert f"taken over from process {before.strip()}" in machine.talk("reload")

    assert machine.talk("version") == "99.9\n"
    assert [line.rpartition(" ")[2] for line in machine.talk("hotpatch history").splitlines()] == [
        f"{swrepo.__version__})",
        "99.9)",
    ]
    digest = hashlib.sha256((machine.tree / "large").read_bytes()).hexdigest()
    assert reader.communicate("go\n", timeout=60)[0].split() == [digest]
    assert (machine.point / "hello").stat().st_ino == inode


def test_what_the_kernel_keeps_stays_and_nothing_is_asked_again(machine: Installed) -> None:
    machine.swrepo("mount", "--all")
    point = machine.prefix / "cvmfs"
    find = ["find", str(point / FQRN), "-ls"]
    before = subprocess.run(find, check=True, capture_output=True).stdout

    machine.swrepo("talk", point, "reload")

    assert subprocess.run(find, check=True, capture_output=True).stdout == before
    counted = machine.swrepo("talk", point, "counters")
    assert "requests LOOKUP" not in counted
    assert "requests READDIRPLUS" not in counted


def test_the_configuration_of_the_moment_is_taken(machine: Installed) -> None:
    machine.swrepo("mount", FQRN, machine.point)
    (machine.tree / "hello").write_text("frozen\n")
    machine.run("cvmfs_server", "publish", "-a", "frozen", FQRN, SWREPO_PREFIX=str(machine.server))
    machine.publish("news", "new\n")
    machine.configure("default.local", CVMFS_REPOSITORY_TAG="frozen", CVMFS_QUOTA_LIMIT=1234)
    machine.talk("remount")
    assert (machine.point / "news").exists(), "a remount takes no configuration"

    assert "OK" in machine.run("cvmfs_config", "reload", FQRN)

    assert not (machine.point / "news").exists()
    assert "CVMFS_QUOTA_LIMIT=1234" in machine.talk("parameters")
    machine.configure("default.local")
    assert "OK" in machine.run("cvmfs_config", "reload")
    assert (machine.point / "news").read_text() == "new\n"


@pytest.mark.parametrize(
    ("module", "before", "after", "said"),
    [
        ("mount/handover.py", "_MEANING: Final = 1", "_MEANING: Final = 2", "unmount it and mount it again"),
        ("mount/worker.py", "import os", "import os, no_such_module", "No module named"),
    ],
    ids=["another form of what is handed over", "broken code"],
)
def test_a_program_that_could_not_go_on_is_refused_beforehand(
    machine: Installed, module: str, before: str, after: str, said: str
) -> None:
    machine.swrepo("mount", FQRN, machine.point)
    pid = machine.talk("pid")
    ours = machine.environment
    machine.environment = {**ours, "PYTHONPATH": str(Path(swrepo.__file__).parents[1])}  # who asks is not broken
    machine.change(module, before, after)

    answer = machine.talk("reload", code=1)

    assert answer.startswith("error: nothing is changed: ")
    assert said in answer
    assert machine.talk("pid") == pid
    assert (machine.point / "hello").read_text() == "hello\n"


def test_a_configuration_that_cannot_be_used_is_refused_beforehand(machine: Installed) -> None:
    machine.swrepo("mount", FQRN, machine.point)
    pid = machine.talk("pid")
    machine.configure(f"config.d/{FQRN}.conf", CVMFS_PUBLIC_KEY="/no/such/key")

    assert "cannot read the public key /no/such/key" in machine.talk("reload", code=1)

    assert machine.talk("pid") == pid
    machine.configure(f"config.d/{FQRN}.conf")
    assert "Failed" not in machine.run("cvmfs_config", "reload")


def test_where_the_new_program_fails_after_all_the_one_before_goes_on(machine: Installed) -> None:
    machine.swrepo("mount", FQRN, machine.point)
    reader = start_reader(machine.point / "large")
    machine.change("mount/handover.py", "        return cls(left), left", "        return int('x'), left")

    assert "the one before does" in machine.talk("reload", code=1)

    digest = hashlib.sha256((machine.tree / "large").read_bytes()).hexdigest()
    assert reader.communicate("go\n", timeout=60)[0].split() == [digest]
    machine.change("mount/handover.py", "        return int('x'), left", "        return cls(left), left")
    assert "taken over" in machine.talk("reload")


def test_readers_at_work_see_nothing_of_it(machine: Installed) -> None:
    machine.swrepo("mount", "--all")
    command = "for i in $(seq 40); do cat hello large; dd if=large iflag=nocache count=0 2>/dev/null; done | sha256sum"
    directory = machine.prefix / "cvmfs" / FQRN
    with subprocess.Popen(["bash", "-ec", command], cwd=directory, stdout=subprocess.PIPE, text=True) as reader:
        reloads = 0
        while reader.poll() is None and reloads < 3:
            machine.swrepo("talk", machine.prefix / "cvmfs", "reload")
            reloads += 1
        said = reader.communicate(timeout=60)[0]
    once = (machine.tree / "hello").read_bytes() + (machine.tree / "large").read_bytes()
    assert said.split()[0] == hashlib.sha256(40 * once).hexdigest()


def test_after_it_a_worker_that_is_killed_is_replaced_as_before(machine: Installed) -> None:
    machine.swrepo("mount", FQRN, machine.point)
    machine.talk("reload")

    subprocess.run(["kill", "-9", machine.talk("pid").strip()], check=True)

    assert (machine.point / "hello").read_text() == "hello\n"
    assert (machine.point / "large").stat().st_size == (machine.tree / "large").stat().st_size


def test_a_mount_that_no_command_line_made_says_so(tmp_path: Path) -> None:
    from tests.golden import golden
    from tests.mount.mounted import mounted, repository

    with mounted(tmp_path, **repository(golden("basic"))) as mount:
        assert "cannot be reloaded" in mount.ask("reload")


def test_what_is_handed_over_is_all_there_for_the_next_program() -> None:
    left = Handover()
    descriptors = (left.requests, left.counts, left.opens)
    assert len({memory.descriptor for memory in descriptors} | set(left.journal.descriptors)) == 5
    left.close()
