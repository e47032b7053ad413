"""A command whose processes all end with it: it is the first one of a namespace of process numbers, or nearly so.

    this process --fork--> init, number 1 there --fork--> the command

Whoever is killed takes those below along. Init waits for whatever is left to it and ends with the command; then the
kernel ends the others.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from swrepo.system import mounts

_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
"""The command gets these by itself."""

_SIGNALLED = 128


def run(body: Callable[[], int]) -> int:
    """Run `body` (it may become another program) in a process of its own; its exit status, as a shell says it."""
    child = _fork(body)
    return _await(child)


def run_contained(body: Callable[[], int]) -> int:
    """The same, and no process of it stays. Where the kernel has no such namespace for us, they may."""
    try:
        mounts.unshare(mounts.NEW_PROCESSES)
    except OSError:
        return run(body)
    return run(lambda: _init(body))


def _init(body: Callable[[], int]) -> int:
    with suppress(OSError):  # a container hides parts of its own, and then none can be had: the old one does
        mounts.mount("proc", "/proc", "proc", mounts.NOSUID | mounts.NODEV | mounts.NOEXEC)
    return _await(_fork(body))


def _fork(body: Callable[[], int]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        mounts.end_with_parent()
        if os.getppid() not in (parent, 0):  # 0: it is in the namespace outside of ours
            os._exit(code)
        code = body()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - the last line of defence, and it is shown
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _await(child: int) -> int:
    """Wait for a child, and for what else is left to us; signals go to it."""

    def pass_on(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    before |= {number: signal.signal(number, signal.SIG_IGN) for number in _FROM_THE_TERMINAL}
    try:
        while True:
            found, status = os.waitpid(-1, 0)
            if found == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else _SIGNALLED - code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def reset_signals() -> None:
    """As a program expects them that is started from a shell."""
    for number in (*_PASSED_ON, *_FROM_THE_TERMINAL):
        signal.signal(number, signal.SIG_DFL)
