"""A mount that somebody else made: `swrepo mount REPO /dev/fd/N`, as a container's starter hands it over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from swrepo.errors import MountFailed
from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import require_namespaces, wait_until
from tests.mount.programs import PROGRAMS

pytestmark = pytest.mark.mount

STARTER = """
import os, socket, subprocess, sys
from swrepo.fuse.mount import MountOptions, mount_in_namespace
from swrepo.system import namespace

point, shown, then, *words = sys.argv[1:]
ours, theirs = socket.socketpair()
if os.fork() == 0:
    namespace.enter()
    device = mount_in_namespace(point, MountOptions("given", allow_other=True))
    socket.send_fds(theirs, [b"mounted"], [device])
    os.close(device)  # else who waits for an answer would wait for one of ours
    theirs.recv(1)
    status = subprocess.run(["cat", f"{point}/{shown}"]).returncode
    if then == "wait":
        sys.stdin.readline()
    os._exit(status)
_, [device], _, _ = socket.recv_fds(ours, 100, 1)
serving = subprocess.Popen([word.replace("@", f"/dev/fd/{device}") for word in words], pass_fds=[device])
status = 0 if "-f" in words else serving.wait()
os.close(device)
ours.send(b".")
ends = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2 if "-f" in words else 1)]
sys.exit(max(status, *ends, 0))
"""
"""What Apptainer does with `--fusemount "host:swrepo mount NAME DIR"`: it mounts, starts the program with the connection
in the place of DIR, and runs the container. The mount ends with its namespace."""


def start(machine: Machine, shown: str, then: str, *words: object) -> subprocess.Popen[str]:
    swrepo = [str(PROGRAMS / "swrepo"), *map(str, words)]
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, str(machine.point), shown, then, *swrepo],
        env={"PATH": os.environ["PATH"], "SWREPO_PREFIX": str(machine.prefix)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def serving(machine: Machine) -> list[str]:
    """Processes of the machine that serve a mount."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (
                str(machine.prefix).encode() in (entry / "environ").read_bytes()
                and "Z" not in ((entry / "stat").read_text().rpartition(")")[2].split()[0])
            ):
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return [line for line in found if "/dev/fd/" in line]


@pytest.fixture
def machine(tmp_path):
    require_namespaces()
    return Machine(tmp_path)


@pytest.mark.parametrize("more", [[], ["-f"]], ids=["in the background", "in the foreground, as Apptainer starts it"])
def test_the_connection_is_served_until_its_mount_is_gone(machine, more) -> None:
    with start(machine, "hello", "end", "mount", FQRN, "@", *more) as starter:
        shown, said = starter.communicate(timeout=60)
    assert (starter.returncode, shown) == (0, "hello\n"), said
    wait_until(lambda: serving(machine) == [])
    assert list(machine.prefix.rglob("cvmfs_io.*")) == []


def test_it_answers_to_talk_like_any_other(machine) -> None:
    with start(machine, "hello", "wait", "mount", FQRN, "@") as starter:
        assert starter.stdout.readline() == "hello\n"
        assert machine.run("swrepo", "talk", FQRN, "revision").strip().isdigit()
        starter.communicate("\n", timeout=60)
    wait_until(lambda: serving(machine) == [])


def test_all_repositories_can_be_served_too(machine) -> None:
    with start(machine, f"{FQRN}/hello", "end", "mount", "--all", "@") as starter:
        shown, said = starter.communicate(timeout=60)
    assert (starter.returncode, shown) == (0, "hello\n"), said
    wait_until(lambda: serving(machine) == [])


def test_a_number_that_is_no_connection_is_refused(machine) -> None:
    machine.run("swrepo", "mount", FQRN, "/dev/fd/77", code=MountFailed.exit_code)
    assert "/dev/fd/77 is not an open FUSE connection" in machine.shown.stderr
