"""Who reads: the plain directory, a mount of ours, a mount of the original where the environment says how.

SWREPO_ORIGINAL_MOUNT: a command that mounts with another client and returns when it answers; {url}, {fqrn}, {key},
{mountpoint} and {cache} (a directory that it is to use) are filled in. It is unmounted with umount(8).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.reading.trees import Tree
from swrepo.mount.control import ask

_UNCOUNTED = ("FORGET", "STATFS", "INTERRUPT")
"""Requests that the kernel sends whatever it keeps: what it forgot, and one statfs per `find`."""


class Running(Protocol):
    """A mount that answers."""

    point: Path

    def requests(self) -> int | None:
        """How many requests have reached its process; None where it does not tell."""
        ...

    def memory(self) -> float:
        """Resident megabytes of what serves it; files that are mapped count as far as they are in memory."""
        ...

    def processor(self) -> float:
        """Seconds of processor time that what serves it has used: tells more than the clock on a busy machine."""
        ...


class Client(Protocol):
    """Mounts trees."""

    name: str

    def mount(self, tree: Tree, url: str, point: Path, cache: Path) -> None: ...

    def running(self, tree: Tree, point: Path, cache: Path) -> Running: ...


@dataclass(slots=True)
class OurMount:
    """Asked by its control socket."""

    point: Path
    socket: Path

    def requests(self) -> int | None:
        total = 0
        for line in ask(self.socket, "counters").splitlines():
            words = line.split(" ")
            if words[0] == "requests" and not any(part in words[1] for part in _UNCOUNTED):
                total += int(words[-1])
        return total

    def by_kind(self) -> dict[str, int]:
        """The same one by one."""
        lines = (line.split(" ") for line in ask(self.socket, "counters").splitlines())
        return {words[1]: int(words[-1]) for words in lines if words[0] == "requests"}

    def ahead(self) -> str:
        """What was fetched ahead, and what of it was used."""
        lines = ask(self.socket, "counters").splitlines()
        return ", ".join(
            line.removeprefix("ahead ") for line in lines if line.startswith("ahead ") and line.split()[2].isalpha()
        )

    def memory(self) -> float:
        return _resident(self.pid())

    def processor(self) -> float:
        return _processor(self.pid())

    def pid(self) -> int:
        return int(ask(self.socket, "pid"))


class Ours:
    """`swrepo mount`, as a person types it, with these options."""

    def __init__(self, name: str = "swrepo", options: tuple[str, ...] = ()) -> None:
        self.name = name
        self._options = options

    def mount(self, tree: Tree, url: str, point: Path, cache: Path) -> None:
        program = str(Path(sys.executable).with_name("swrepo"))
        options = ["--key", str(tree.key), "--cache", str(cache), "-o", ",".join(("quota=40000", *self._options))]
        subprocess.run([program, "mount", f"{url}/{tree.fqrn}", str(point), *options], check=True)

    def running(self, tree: Tree, point: Path, cache: Path) -> OurMount:
        return OurMount(point, next(cache.rglob(f"cvmfs_io.{tree.fqrn}")))


@dataclass(slots=True)
class OtherMount:
    """Known by the processes that have the mountpoint on their command line."""

    point: Path

    def requests(self) -> int | None:
        return None

    def memory(self) -> float:
        return sum(map(_resident, self._processes()))

    def processor(self) -> float:
        return sum(map(_processor, self._processes()))

    def _processes(self) -> list[int]:
        return [
            int(path.parent.name)
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if os.fsencode(self.point) in _command_line(path)
        ]


class Original:
    """The client that the environment names."""

    name = "original"

    def __init__(self, command: str) -> None:
        self._command = command

    def mount(self, tree: Tree, url: str, point: Path, cache: Path) -> None:
        words = {
            "url": f"{url}/{tree.fqrn}",
            "fqrn": tree.fqrn,
            "key": tree.key,
            "mountpoint": point,
            "cache": cache,
        }
        arguments = shlex.split(self._command.format(**words))
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)

    def running(self, tree: Tree, point: Path, cache: Path) -> OtherMount:  # noqa: ARG002 - one signature for all
        return OtherMount(point)


def clients() -> list[Client]:
    """Ours, and the original where it is there."""
    command = os.environ.get("SWREPO_ORIGINAL_MOUNT")
    return [Ours(), Original(command)] if command else [Ours()]


@contextmanager
def mounted(client: Client, tree: Tree, url: str, point: Path, cache: Path) -> Iterator[Running]:
    """Mount, and unmount at the end; returns from that when the processes are gone."""
    point.mkdir(parents=True, exist_ok=True)
    serving = 0
    client.mount(tree, url, point, cache)
    try:
        running = client.running(tree, point, cache)
        serving = running.pid() if isinstance(running, OurMount) else 0
        yield running
    finally:
        _unmount(point)
        if isinstance(client, Ours):
            _until(lambda: not Path(f"/proc/{serving}").exists())
        else:
            _until(lambda: OtherMount(point).memory() == 0)


def _unmount(point: Path) -> None:
    """A program that just ended may hold the mount for a moment."""
    for _ in range(50):
        if subprocess.run(["umount", str(point)], check=False, stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", str(point)], check=True)


def _until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)


def _resident(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024 / 1e6


def _processor(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _command_line(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
