"""What a command costs: its seconds, its processor time, the memory of all its processes together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

_SAMPLE = 0.1
"""Seconds between two looks at the memory of all processes: what comes and goes in less is not seen."""

_COMMAND = (sys.executable, "-m", "swrepo.cli.main")


class Cost(NamedTuple):
    """What a command took."""

    seconds: float
    cpu: float
    megabytes: float
    """Resident at most, of all its processes together, with what they share counted once."""


class Line(NamedTuple):
    """A row of the table."""

    what: str
    target: str
    ours: Cost
    baseline: str
    theirs: Cost


class Repository:
    """A repository in a place of its own, worked on by the commands that people type."""

    def __init__(self, place: Path, *options: str, fqrn: str = "bench.example.org") -> None:
        self.environment = {**os.environ, "SWREPO_PREFIX": str(place)}
        self.fqrn = fqrn
        self.place = place
        self.server("mkfs", *options)

    @property
    def storage(self) -> Path:
        """Where its objects lie."""
        return self.place / "srv" / "cvmfs" / self.fqrn / "data"

    def publish(self, tree: Path, *options: str) -> Cost:
        return self._run("publish", str(tree), self.fqrn, *options)

    def counted(self, tree: Path, *options: str) -> tuple[Cost, dict[str, Any]]:
        """The same, and what the command tells of it."""
        output = self.place / "outcome.json"
        with output.open("wb") as file:
            taken = cost(
                [*_COMMAND, "publish", str(tree), self.fqrn, "--json", *options], self.environment, file.fileno()
            )
        return taken, json.loads(output.read_bytes())

    def server(self, command: str, *options: str) -> Cost:
        """`swrepo server COMMAND OPTIONS NAME`."""
        return self._run("server", command, *options, self.fqrn)

    def _run(self, *words: str) -> Cost:
        return cost([*_COMMAND, *words], self.environment)


def cost(command: list[str], environment: dict[str, str] | None = None, output: int = subprocess.DEVNULL) -> Cost:
    """Run a command that has to succeed."""
    start = perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=output)
    memory = _Memory(process.pid)
    try:
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        seconds = perf_counter() - start
        together = memory.most()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, max(together, usage.ru_maxrss / 1024))


class _Memory:
    """Looks at a process and all below it now and then."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def most(self) -> float:
        """End; the most megabytes that were seen."""
        self._over.set()
        self._thread.join()
        return self._most

    def _watch(self) -> None:
        while not self._over.wait(_SAMPLE):
            family = _family(self._pid)
            if len(family) > 1:  # of one process alone the kernel tells when it ends
                self._most = max(self._most, sum(map(_proportional, family)))


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        with suppress(OSError):
            found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text("ascii").split())
    return found


def _proportional(pid: int) -> float:
    """Megabytes of a process, its part of what it shares."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
