"""An image of a client: what is in it and what is not, and that it starts and does the main job.

It is built once, which takes a minute or two, and started once, emulated where the machine has no virtualisation. What
only several machines show (a server, a long link, a snapshot, a worker) is in `make testdrive-vm`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swrepo.image import programs
from swrepo.image.disk import Layout
from swrepo.image.vm import MachinePlan, VirtualMachine
from tests.network.programs import free_port, running

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LARGEST = 350_000_000
PATIENCE = 1500

NEEDED = (*programs.BUILDING, "qemu-system-x86_64", "debugfs", "ssh", "ssh-keygen")
MISSING = [name for name in NEEDED if programs.find(name) is None]
SYSTEM = subprocess.run(["/usr/bin/python3", "--version"], capture_output=True, text=True, check=False).stdout.split()
OURS = f"{sys.version_info[0]}.{sys.version_info[1]}."

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(bool(MISSING), reason=f"these programs are not here: {', '.join(MISSING)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="building as an ordinary user needs a range of user ids"),
    pytest.mark.skipif(not SYSTEM or not SYSTEM[1].startswith(OURS), reason="the distribution has another Python"),
    pytest.mark.skipif(not os.path.exists("/etc/debian_version"), reason="packages come from this machine's sources"),
]


def run(*words: str | Path) -> str:
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("image")
    package = run(sys.executable, ROOT / "packaging/deb.py", place, "0").split()[-1]
    run(BIN / "swrepo", "image", "build", "client", "--package", package, "--output", place / "client.qcow2")
    return place / "client.qcow2"


@pytest.fixture(scope="module")
def files(image) -> Iterator[Path]:
    """The root file system as debugfs takes it."""
    raw = image.with_suffix(".raw")
    run("qemu-img", "convert", "-O", "raw", image, raw)
    size = raw.stat().st_size
    yield Path(f"{raw}?offset={Layout(size).root}")
    raw.unlink()


def shown(files: Path, command: str) -> str:
    return run(programs.find("debugfs") or "debugfs", "-R", command, str(files))


def test_it_is_small_and_depends_on_no_other_image(image):
    told = json.loads(run("qemu-img", "info", "--output=json", image))
    assert told["format"] == "qcow2"
    assert "backing-filename" not in told
    assert image.stat().st_size < LARGEST


def test_nobody_has_a_password(files):
    accounts = [line.split(":")[:2] for line in shown(files, "cat /etc/shadow").splitlines()]
    assert len(accounts) > 10
    assert all(password.startswith(("!", "*")) for _, password in accounts)


def test_nothing_in_it_identifies_a_machine_or_a_repository(files):
    assert "Size: 0" in shown(files, "stat /etc/machine-id")
    assert "ssh_host" not in shown(files, "ls /etc/ssh")
    assert ".pub" not in shown(files, "ls /etc/cvmfs/keys")
    assert "not found" in run_anyway(files, "stat /var/lib/systemd/random-seed")


def run_anyway(files: Path, command: str) -> str:
    words = [programs.find("debugfs") or "debugfs", "-R", command, str(files)]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Iterator[int]:
    """The port of loopback at which this machine serves a repository with the sample application."""
    place = tmp_path_factory.mktemp("server")
    environment = {**os.environ, "SWREPO_PREFIX": str(place)}
    name = "dair.cvmfs.server"
    subprocess.run([BIN / "swrepo", "server", "mkfs", name], env=environment, check=True, capture_output=True)
    sample = ROOT / "src/swrepo/image/overlay/server/usr/share/swrepo/sample/Hello"
    shutil.copy(sample, place / "cvmfs" / name / "Hello")
    (place / "cvmfs" / name / "Hello").chmod(0o755)
    subprocess.run([BIN / "swrepo", "server", "publish", name], env=environment, check=True, capture_output=True)
    port = free_port()
    words = [str(BIN / "swrepo"), "serve", str(place / "srv/cvmfs"), "--port", str(port)]
    with running(words, port, place / "serve.log"):
        yield port


@pytest.fixture(scope="module")
def machine(image, tmp_path_factory) -> Iterator[VirtualMachine]:
    found = VirtualMachine(MachinePlan("client", 77, image), tmp_path_factory.mktemp("machine"))
    found.start()
    try:
        found.wait_for_ssh(PATIENCE)
        yield found
    finally:
        found.kill()


def typed(machine: VirtualMachine, command: str) -> str:
    return run(*machine.ssh(command))


def test_it_starts_with_nothing_failed_and_grows_to_its_disk(machine):
    assert typed(machine, "systemctl list-units --failed --no-legend").strip() == ""
    assert typed(machine, "cloud-init status").strip() == "status: done"
    assert int(typed(machine, "df --output=size -BM / | tail -1").strip().rstrip("M")) > 7000


def test_who_logs_in_is_told_what_to_type(machine):
    assert "sudo PointToCVMFS" in typed(machine, "cat /run/motd.dynamic")


def test_a_guest_points_it_to_a_server_and_runs_what_is_published(machine, published):
    assert typed(machine, "ls /cvmfs").strip() == ""
    point = f"sudo PointToCVMFS 10.0.2.2:{published} --yes"  # this machine, as the emulated network shows it
    assert "revision 2" in typed(machine, f"su - guest -c '{point}'")
    assert "Hello from" in typed(machine, "su - guest -c /cvmfs/dair.cvmfs.server/Hello")
    assert "cvmfs" in typed(machine, "ls -l /cvmfs/dair.cvmfs.server/Hello")
