"""What may happen to a command while it works: each strike runs it, and something happens to it at a random moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.stress.disk import Disk

_OTHER_CLOCK = Path(__file__).with_name("other_clock.py")
_DAY = 86_400
_TURN = 0.001
_PATIENCE = 30
"""Seconds within which everything that a command started must be gone."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its code (negative: the signal), what it said, and what it complained of."""

    code: int
    said: str
    complaint: str


class Running:
    """A command under way, in a process group of its own. `seconds` is how long such a one takes undisturbed."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], seconds: float, dice: random.Random
    ) -> None:
        self._seconds = seconds
        self._dice = dice
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_a_moment(self) -> None:
        """Until a random moment of its work, or the beginning or end of what its processes do."""
        if self._dice.random() < 0.3:
            self.workers()
            self.let_pass(self._dice.random() * 0.1)
        else:
            self.let_pass(self._dice.random() * self._seconds)

    def let_pass(self, seconds: float) -> None:
        """So long, or until it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def workers(self) -> list[int]:
        """Its processes, as soon as there are any; none once it has ended."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        while self._process.poll() is None:
            with suppress(OSError):
                if found := children.read_text().split():
                    return [int(pid) for pid in found]
            time.sleep(_TURN)
        return []

    def signal(self, number: signal.Signals) -> None:
        """To the command alone."""
        self._process.send_signal(number)

    def signal_group(self, number: signal.Signals) -> None:
        """To all of its processes, as a terminal or a service manager does."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def signal_worker(self, number: signal.Signals) -> bool:
        """To one of its processes, a moment after they began; whether there was one."""
        found = self.workers()
        self.let_pass(self._dice.random() * 0.05)
        if not found or self._process.poll() is not None:
            return False
        with suppress(ProcessLookupError):
            os.kill(self._dice.choice(found), number)
        return True

    def end(self) -> Ended:
        """Its end, and that of all that it started."""
        said, complaint = self._process.communicate(timeout=300)
        deadline = time.monotonic() + _PATIENCE
        while _is_there(self._process.pid):
            assert time.monotonic() < deadline, f"processes of {self._process.args!r} go on: {said}{complaint}"
            time.sleep(_TURN)
        return Ended(self._process.returncode, said, complaint)


def _is_there(group: int) -> bool:
    """Whether a process of the group is alive; the dead may stay for long where nobody asks after orphans."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, found = entry.read_text().rpartition(")")[2].split()[:3]
            if int(found) == group and state != "Z":
                return True
    return False


class Striker:
    """Knows all strikes. `seconds` is how long the command takes where nothing happens to it."""

    def __init__(self, environment: Mapping[str, str], disk: Disk, dice: random.Random, seconds: float) -> None:
        self._environment = environment
        self._disk = disk
        self._dice = dice
        self.seconds = seconds
        self.kinds: dict[str, Callable[[Sequence[str]], Ended]] = {
            "kill -9": self.kill,
            "kill -9 of a process": self.kill_worker,
            "kill -9 of all": self.kill_all,
            "SIGTERM": self.terminate,
            "SIGTERM to all": self.terminate_all,
            "Ctrl-C": self.interrupt,
            "full disk": self.fill,
            "failing disk": self.fail,
            "power": self.lose_power,
            "clock": self.jump,
            "rival": self.compete,
        }

    def undisturbed(self, command: Sequence[str]) -> Ended:
        """Nothing happens to it."""
        begin = time.monotonic()
        ended = self._start(command).end()
        self.seconds = (self.seconds + time.monotonic() - begin) / 2
        return ended

    def kill(self, command: Sequence[str]) -> Ended:
        return self._signal(command, lambda running: running.signal(signal.SIGKILL))

    def kill_all(self, command: Sequence[str]) -> Ended:
        return self._signal(command, lambda running: running.signal_group(signal.SIGKILL))

    def terminate(self, command: Sequence[str]) -> Ended:
        return self._signal(command, lambda running: running.signal(signal.SIGTERM))

    def terminate_all(self, command: Sequence[str]) -> Ended:
        return self._signal(command, lambda running: running.signal_group(signal.SIGTERM))

    def interrupt(self, command: Sequence[str]) -> Ended:
        return self._signal(command, lambda running: running.signal_group(signal.SIGINT))

    def kill_worker(self, command: Sequence[str]) -> Ended:
        running = self._start(command)
        was_one = running.signal_worker(signal.SIGKILL)
        ended = running.end()
        assert ended.code == 0 or was_one, ended
        return ended

    def fill(self, command: Sequence[str]) -> Ended:
        with self._disk.full(int(self._dice.random() ** 2 * 900_000)):
            return self._start(command).end()

    def fail(self, command: Sequence[str]) -> Ended:
        running = self._start(command)
        running.wait_a_moment()
        self._disk.fail()
        ended = running.end()
        self._disk.mend()
        return ended

    def lose_power(self, command: Sequence[str]) -> Ended:
        running = self._start(command)
        running.wait_a_moment()
        if self._dice.random() < 0.3:
            self._disk.sync()
            running.let_pass(self._dice.random() * 0.05)
        running.signal_group(signal.SIGKILL)
        ended = running.end()
        self._disk.lose_power()
        return ended

    def jump(self, command: Sequence[str]) -> Ended:
        """The clock jumps, by up to three weeks: for longer nobody would believe the repository's whitelist."""
        jump = self._dice.randint(-400, 20) * _DAY
        words = [sys.executable, str(_OTHER_CLOCK), str(self._dice.random() * self.seconds), str(jump), *command[1:]]
        return self._start(words).end()

    def compete(self, command: Sequence[str]) -> Ended:
        first = self._start(command)
        first.let_pass(self._dice.random() * self.seconds)
        second = self._start(command).end()
        ended = first.end()
        assert 0 in (ended.code, second.code), f"{ended} {second}"
        return ended if ended.code else second

    def _signal(self, command: Sequence[str], strike: Callable[[Running], object]) -> Ended:
        with ExitStack() as stack:
            running = self._start(command)
            stack.callback(running.signal_group, signal.SIGKILL)
            running.wait_a_moment()
            strike(running)
            return running.end()

    def _start(self, command: Sequence[str]) -> Running:
        return Running(command, self._environment, self.seconds, self._dice)
