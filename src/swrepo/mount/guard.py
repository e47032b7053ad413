"""The processes of a mount: a worker that serves it, and a guard that replaces the worker when it dies.

    caller --fork--> guard --fork--> worker         in the background: the caller returns when the worker is ready
    caller = guard --fork--> worker                 in the foreground

The worker tells through a pipe that it is ready, or why it cannot be, and gives the guard a descriptor of the mount
(mount.handover). A pipe that only the guard holds open tells the worker that the guard is gone. The guard does nothing
else, so it has no reason to die; when workers die one after another, it gives up and takes the mount away.

In the background both leave the caller's session, but not before the mount answers: who mounts on a directory of an
automounter (autofs, systemd) is known to the kernel by its process group, and anybody else who touches the directory
meanwhile waits for the mount. A second pipe tells the guard when the worker has left.

A worker that ends with `RENEW` asks for its place to be taken by a program that is started anew, with the code and the
configuration of that moment (mount.renewal). Where that one cannot go on, a worker of the guard's own code does.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import NoReturn

from swrepo import errors
from swrepo.errors import MountFailed, SwrepoError
from swrepo.mount.handover import Handover

log = logging.getLogger(__name__)

Worker = Callable[["Report", int, Handover], int]
"""Serves until the end and returns the exit code; gets its report, a descriptor that ends when the guard dies, and what
the workers before it left."""

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ENDING = (signal.SIGTERM, signal.SIGINT)

RENEW = 75
"""The exit code of a worker that makes room for a program that is started anew."""

Successor = Callable[[Handover, int], NoReturn]
"""Becomes that program, in a child of the guard; gets what a `Worker` gets."""

_FAILURES = 5
"""So many workers in a row may die before the mount answers again; then the guard gives up."""

_QUICK = 1.0
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
"""Seconds before another worker starts, for each one in a row that lived less than `_QUICK` seconds."""


class Report:
    """The worker's one message to who waits for the mount, and for its end, which is there when the guard has it too.

    `session`: a pipe of which the guard waits for the end; with it, the worker leaves the session when it is ready.
    """

    def __init__(self, descriptor: int, session: int = -1) -> None:
        self._descriptor = descriptor
        self._session = session

    def ready(self) -> None:
        """The mount answers."""
        if self._session >= 0:
            os.setsid()
            os.close(self._session)
        self._send({"error": None})

    def failed(self, error: BaseException) -> None:
        """There will be no mount."""
        self._send({"error": type(error).__name__, "message": str(error)})

    def close(self) -> None:
        """There is nothing (more) to tell: the end of the worker's message for who waits."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _send(self, message: dict[str, str | None]) -> None:
        if self._descriptor >= 0:
            with suppress(BrokenPipeError):  # who waited was killed; the mount goes on, or ends with its guard
                os.write(self._descriptor, json.dumps(message).encode())
            self.close()


def run_in_background(
    worker: Worker, clean_up: Callable[[], None], detach: Callable[[], None], successor: Successor
) -> None:
    """Start guard and worker, detached from the terminal (`detach` closes it), and return when the mount answers.

    Raises the worker's error when it cannot. Only for a process with one thread.
    """
    receiver, sender = os.pipe()
    _flush()
    if (child := os.fork()) == 0:
        end_with(lambda: _become_guard(worker, clean_up, detach, successor, receiver, sender))
    os.close(sender)
    message = _receive(receiver)
    if message is None:
        os.waitpid(child, 0)
        raise MountFailed("the mounting process ended without a word; see its log")
    _raise_reported(message)


def run_in_foreground(worker: Worker, clean_up: Callable[[], None], successor: Successor) -> int:
    """Guard a worker until it ends; its exit code. Raises the worker's error when it cannot mount."""
    receiver, sender = os.pipe()
    code = _guard(worker, clean_up, successor, receiver, Report(sender))
    message = _receive(receiver)
    if message is not None:
        _raise_reported(message)
    return code


def _become_guard(
    worker: Worker,
    clean_up: Callable[[], None],
    detach: Callable[[], None],
    successor: Successor,
    receiver: int,
    sender: int,
) -> int:
    os.close(receiver)
    os.chdir("/")
    detach()
    mounting, session = os.pipe()

    def leave_session() -> None:
        """Once the worker has left it, or has ended."""
        os.close(session)
        os.read(mounting, 1)
        os.close(mounting)
        os.setsid()

    return _guard(worker, clean_up, successor, mounting, Report(sender, session), leave_session)


def _guard(
    worker: Worker,
    clean_up: Callable[[], None],
    successor: Successor,
    receiver: int,
    report: Report,
    when_it_answers: Callable[[], None] = lambda: None,
) -> int:
    """`receiver` is of no use to workers. `when_it_answers` waits until the first one is ready or has ended."""
    child = _Child()
    handover = Handover()
    alive, held = os.pipe()
    unwanted = [held, receiver]
    failures = quick = 0
    renewed = False  # whether the next worker is a program that is started anew
    while True:
        started = time.monotonic()
        work = partial(successor, handover, alive) if renewed else partial(_work, worker, report, alive, handover)
        child.start(work, unwanted)
        when_it_answers()
        when_it_answers, unwanted = lambda: None, [held]
        report.close()
        code = child.wait()
        served = handover.receive()
        failures = 0 if served else failures + 1
        if code == 0 or child.was_asked_to_end or handover.connection is None:
            break
        if failures == _FAILURES:
            log.error("the mount is given up: %d processes in a row could not go on with it", failures)
            break
        if code == RENEW and served:
            renewed, quick = True, 0
            continue
        log.error("the worker %d died (%s); another takes its place", child.pid, _cause(code))
        renewed = renewed and served
        quick = quick + 1 if time.monotonic() - started < _QUICK else 0
        time.sleep(min(_LONGEST_PAUSE, _PAUSE * max(0, quick - 1)))
    handover.close()
    clean_up()
    os.close(alive)
    os.close(held)
    return 128 - code if code < 0 else code


class _Child:
    """The worker of the moment, which gets the guard's signals."""

    def __init__(self) -> None:
        self.pid = 0
        self.was_asked_to_end = False

    def start(self, work: Callable[[], int], unwanted: list[int]) -> None:
        """Fork; the child closes what is `unwanted` and ends with the exit code of `work`."""
        _flush()
        self.pid = os.fork()
        if self.pid == 0:
            for number in _FORWARDED:
                signal.signal(number, signal.SIG_DFL)
            for descriptor in unwanted:
                os.close(descriptor)
            end_with(work)
        for number in _FORWARDED:
            signal.signal(number, self._forward)

    def wait(self) -> int:
        """The exit code, or minus the number of the signal that killed it."""
        _, status = os.waitpid(self.pid, 0)  # retried after each forwarded signal
        return os.waitstatus_to_exitcode(status)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        self.was_asked_to_end |= number in _ENDING
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


def _cause(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _work(worker: Worker, report: Report, alive: int, handover: Handover) -> int:
    try:
        return worker(report, alive, handover)
    except SwrepoError as error:
        if handover.connection is not None:
            log.error("the mount cannot go on: %s", error)  # noqa: TRY400 - the sentence says it
        report.failed(error)
        return error.exit_code


def end_with(main: Callable[[], int]) -> NoReturn:
    """The end of a forked process: nothing of the parent's clean-up must run in it."""
    code = 1
    try:
        code = main()
    except BaseException:  # noqa: BLE001 - the last line of defence, and it is shown
        sys.excepthook(*sys.exc_info())
    finally:
        _flush()
        os._exit(code)


def _receive(descriptor: int) -> dict[str, str | None] | None:
    with open(descriptor, "rb") as pipe:
        data = pipe.read()
    if not data:
        return None
    message: dict[str, str | None] = json.loads(data)
    return message


def _raise_reported(message: dict[str, str | None]) -> None:
    """Raise the worker's error again, as the class that it had."""
    name, text = message.get("error"), message.get("message") or ""
    if name is None:
        return
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, SwrepoError):
        raise kind(text)
    raise MountFailed(f"{name}: {text}")


def _flush() -> None:
    """What is buffered must not be written twice after a fork."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
