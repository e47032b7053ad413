"""How the loop waits for requests: awake while they come quickly, else asleep. Time is told by the test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from swrepo.fuse.arrivals import AWAKE, Arrivals

GIVES_UP = 9
"""The look at the clock after which nobody stays awake: the first begins the time, eight more end it."""


class Machine:
    """A device (a pipe) and a clock that goes on by an eighth of the time awake whenever somebody looks at it."""

    def __init__(self) -> None:
        self.device, self._kernel = os.pipe()
        self.looks = self._arrives = self._ticks = 0

    def clock(self) -> float:
        self.looks += 1
        self._ticks += 1
        if self.looks == self._arrives:
            os.write(self._kernel, b"r")
        return self._ticks * AWAKE / 8

    def request_at(self, look: int) -> None:
        self._arrives, self.looks = look, 0

    def read(self) -> bytes:
        return os.read(self.device, 1)

    def close(self) -> None:
        os.close(self.device)
        os.close(self._kernel)


@pytest.fixture
def machine() -> Iterator[Machine]:
    found = Machine()
    yield found
    found.close()


def wait(machine: Machine, arrivals: Arrivals, look: int = 1) -> int:
    """How often the clock was looked at, asleep or awake, for a request that comes at that look."""
    machine.request_at(look)
    arrivals.wait()
    assert machine.read() == b"r"
    return machine.looks


def test_the_first_request_is_waited_for_asleep(machine):
    assert wait(machine, Arrivals(machine.device, lambda: True, 2, machine.clock)) == 2


def test_after_a_request_that_came_soon_the_next_is_waited_for_awake(machine):
    arrivals = Arrivals(machine.device, lambda: True, 2, machine.clock)
    wait(machine, arrivals)
    assert wait(machine, arrivals, look=5) == 5
    assert wait(machine, arrivals, look=6) == 6


def test_the_loop_sleeps_when_nothing_comes_soon(machine):
    arrivals = Arrivals(machine.device, lambda: True, 2, machine.clock)
    wait(machine, arrivals)
    assert wait(machine, arrivals, look=GIVES_UP) == GIVES_UP + 1
    assert wait(machine, arrivals) == 2


def test_the_loop_never_stays_awake_while_other_threads_work(machine):
    arrivals = Arrivals(machine.device, lambda: False, 2, machine.clock)
    wait(machine, arrivals)
    assert wait(machine, arrivals) == 2


def test_the_loop_never_stays_awake_on_the_only_processor(machine):
    arrivals = Arrivals(machine.device, lambda: True, 1, machine.clock)
    wait(machine, arrivals)
    assert wait(machine, arrivals) == 2


def test_the_device_no_longer_blocks(machine):
    Arrivals(machine.device, lambda: True, 2, machine.clock)
    with pytest.raises(BlockingIOError):
        machine.read()


def test_what_is_to_be_done_is_done_while_awake_and_keeps_it_awake(machine):
    done: list[float] = []

    def work(passed: float) -> bool:
        done.append(passed)
        return True

    arrivals = Arrivals(machine.device, lambda: True, 2, machine.clock, work)
    wait(machine, arrivals)
    assert not done  # it was asleep
    assert wait(machine, arrivals, look=GIVES_UP + 3) == GIVES_UP + 3
    assert done == sorted(done)
    assert done[-1] > AWAKE
