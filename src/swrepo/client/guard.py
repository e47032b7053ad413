"""The processes of a mount: a worker that serves it, and a guard that takes the mount away if the worker dies.

    caller --fork--> guard --fork--> worker         in the background: the caller returns when the worker is ready
    caller = guard --fork--> worker                 in the foreground

The worker tells through a pipe that it is ready, or why it cannot be. A pipe that only the guard holds open tells the
worker that the guard is gone. The guard holds nothing of the mount, so that the kernel sees when the worker dies.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from swrepo import errors
from swrepo.errors import MountFailed, SwrepoError

Worker = Callable[["Report", int], int]
"""Serves until the end and returns the exit code; gets its report and a descriptor that ends when the guard dies."""

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Report:
    """The worker's one message to who waits for the mount."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ready(self) -> None:
        """The mount answers."""
        self._send({"error": None})

    def failed(self, error: BaseException) -> None:
        """There will be no mount."""
        self._send({"error": type(error).__name__, "message": str(error)})

    def _send(self, message: dict[str, str | None]) -> None:
        if self._descriptor >= 0:
            os.write(self._descriptor, json.dumps(message).encode())
            os.close(self._descriptor)
            self._descriptor = -1


def run_in_background(worker: Worker, clean_up: Callable[[], None], detach: Callable[[], None]) -> None:
    """Start guard and worker, detached from the terminal (`detach` closes it), and return when the mount answers.

    Raises the worker's error when it cannot. Only for a process with one thread.
    """
    receiver, sender = os.pipe()
    _flush()
    if (child := os.fork()) == 0:
        _end_with(lambda: _become_guard(worker, clean_up, detach, receiver, sender))
    os.close(sender)
    message = _receive(receiver)
    if message is None:
        os.waitpid(child, 0)
        raise MountFailed("the mounting process ended without a word; see its log")
    _raise_reported(message)


def run_in_foreground(worker: Worker, clean_up: Callable[[], None]) -> int:
    """Guard a worker until it ends; its exit code. Raises the worker's error when it cannot mount."""
    receiver, sender = os.pipe()
    code = _guard(worker, clean_up, receiver, sender)
    message = _receive(receiver)
    if message is not None:
        _raise_reported(message)
    return code


def _become_guard(
    worker: Worker, clean_up: Callable[[], None], detach: Callable[[], None], receiver: int, sender: int
) -> int:
    os.close(receiver)
    os.setsid()
    os.chdir("/")
    detach()
    return _guard(worker, clean_up, -1, sender)


def _guard(worker: Worker, clean_up: Callable[[], None], receiver: int, sender: int) -> int:
    alive, held = os.pipe()
    _flush()
    child = os.fork()
    if child == 0:
        os.close(held)
        if receiver >= 0:
            os.close(receiver)
        _end_with(lambda: _work(worker, Report(sender), alive))
    os.close(alive)
    os.close(sender)
    for number in _FORWARDED:
        signal.signal(number, _forwarder(child))
    _, status = os.waitpid(child, 0)  # retried after each forwarded signal
    clean_up()
    os.close(held)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _forwarder(child: int) -> Callable[[int, FrameType | None], None]:
    def forward(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    return forward


def _work(worker: Worker, report: Report, alive: int) -> int:
    try:
        return worker(report, alive)
    except SwrepoError as error:
        report.failed(error)
        return error.exit_code


def _end_with(main: Callable[[], int]) -> NoReturn:
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
