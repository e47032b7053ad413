"""Which signals let a waiting program go, from the text of /proc/PID/status."""

from __future__ import annotations

import os
import signal

import pytest

from swrepo.fuse.request import Request
from swrepo.mount.interrupts import ends, is_meant_to_stop


def status(*, pending=(), shared=(), blocked=(), ignored=(), caught=()) -> bytes:
    def mask(numbers) -> str:
        return f"{sum(1 << number - 1 for number in numbers):016x}"

    fields = {"SigPnd": pending, "ShdPnd": shared, "SigBlk": blocked, "SigIgn": ignored, "SigCgt": caught}
    return "".join(f"{name}:\t{mask(numbers)}\n" for name, numbers in {"Name": (), **fields}.items()).encode()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGALRM, signal.SIGUSR1])
def test_a_signal_that_kills_ends_the_wait(number: int) -> None:
    assert ends(status(pending=[number]))
    assert ends(status(shared=[number]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_program_that_is_asked_to_end_is_let_go_even_when_it_handles_that(number: int) -> None:
    assert ends(status(pending=[number], caught=[number]))


@pytest.mark.parametrize("number", [signal.SIGURG, signal.SIGALRM, signal.SIGUSR1, signal.SIGPROF, signal.SIGCHLD])
def test_a_signal_that_is_handled_does_not(number: int) -> None:
    assert not ends(status(pending=[number], caught=[number]))


def test_signals_that_are_blocked_ignored_or_harmless_do_not() -> None:
    assert not ends(status(pending=[signal.SIGTERM], blocked=[signal.SIGTERM]))
    assert not ends(status(pending=[signal.SIGTERM], ignored=[signal.SIGTERM]))
    assert not ends(status(pending=[signal.SIGCHLD, signal.SIGWINCH]))
    assert not ends(status())


def test_a_program_that_is_gone_or_cannot_be_seen_is_let_go() -> None:
    def request(pid: int) -> Request:
        return Request(1, 1, 1, 0, 0, pid, b"")

    assert is_meant_to_stop(request(0))
    assert is_meant_to_stop(request(1 << 30))
    assert not is_meant_to_stop(request(os.getpid()))
