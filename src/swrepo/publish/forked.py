"""A process that answers requests: forked, so that it begins with all that is loaded, and ends when its publisher does.

Its requests end then, however that ends, kill -9 included. It closes what it inherits, the publisher's lock above all.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from swrepo.errors import PublishError

OPEN_FILES = "/proc/self/fd"

_HEAD = struct.Struct("<Q")
_STANDARD_STREAMS = frozenset((0, 1, 2))


class Forked:
    """The publisher's end of it. For one thread at a time; only where no other thread is at work."""

    def __init__(self, answer: Callable[[bytes], object]) -> None:
        """`answer` is called in the process with each request."""
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _begin(answer, requests, answers)
        os.close(requests)
        os.close(answers)

    def fileno(self) -> int:
        """Readable when there is an answer."""
        return self._answers

    def send(self, request: bytes) -> None:
        """Ask for something. Blocks where more is under way than fits a pipe."""
        try:
            _write(self._requests, request)
        except BrokenPipeError:
            raise self._lost() from None

    def receive(self) -> Any:
        """The next answer. Raises what `answer` raised, and PublishError where the process is gone."""
        message = _read(self._answers)
        if message is None:
            raise self._lost()
        found = pickle.loads(message)  # noqa: S301 - of a process of our own
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """There will be no more requests."""
        os.close(self._requests)
        os.close(self._answers)

    def wait(self) -> None:
        """Until it is gone."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _lost(self) -> PublishError:
        return PublishError(
            f"the process {self.pid}, which stored files, ended unexpectedly (was it killed, or is memory short?); "
            "nothing was changed in the repository, publish again"
        )


def _begin(answer: Callable[[bytes], object], requests: int, answers: int) -> None:
    """The life of the process."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the publisher's: this ends with it
        gc.disable()  # what the publisher had open is not ours to close by chance
        _close_all_but(requests, answers)
        _work(answer, requests, answers)
        code = 0
    finally:
        os._exit(code)  # nothing of the publisher's own end is done twice


def _work(answer: Callable[[bytes], object], requests: int, answers: int) -> None:
    while (request := _read(requests)) is not None:
        found: object
        try:
            found = answer(request)
        except Exception as error:  # noqa: BLE001 - the publisher raises it
            found = error
        try:
            _write(answers, pickle.dumps(found, pickle.HIGHEST_PROTOCOL))
        except BrokenPipeError:
            return  # it is gone


def _close_all_but(*kept: int) -> None:
    """The publisher's lock above all: it must be free as soon as the publisher is gone."""
    for name in os.listdir(OPEN_FILES):
        descriptor = int(name)
        if descriptor not in _STANDARD_STREAMS and descriptor not in kept:
            with suppress(OSError):
                os.close(descriptor)


def _write(descriptor: int, message: bytes) -> None:
    left = memoryview(_HEAD.pack(len(message)) + message)
    while left:
        left = left[os.write(descriptor, left) :]


def _read(descriptor: int) -> bytes | None:
    """The next message; None where the other side is gone."""
    head = _read_exactly(descriptor, _HEAD.size)
    return None if head is None else _read_exactly(descriptor, _HEAD.unpack(head)[0])


def _read_exactly(descriptor: int, size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(descriptor, size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
