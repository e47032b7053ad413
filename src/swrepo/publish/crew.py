"""Who stores the small files of a publication: processes where that can be, else threads.

Small files are mostly system calls, at each of which a thread lets go of the interpreter and waits for it again: two
threads and the one that scans spent more than half of their time with that (docs/adr/0017). A process of its own has an
interpreter of its own. It is forked, so it begins with all that is loaded, and ends when its publication does, however
that ends: its requests end then. Large files stay with threads: they compress megabytes at a time.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import struct
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from swrepo.errors import PublishError
from swrepo.objects.batch import ObjectBatch
from swrepo.objects.outbox import Outbox
from swrepo.publish.promise import Promise
from swrepo.publish.reader import FileReader
from swrepo.publish.storing import Outcome, Task, store_batch

_HEAD = struct.Struct("<Q")
_FITS_A_PIPE = 32 << 10
"""Bytes of a request that can be written while its reader is busy: two of them never fill a pipe."""

_STANDARD_STREAMS = frozenset((0, 1, 2))
_OPEN_FILES = "/proc/self/fd"


class Crew(Protocol):
    """Stores batches of files, several at a time. For one calling thread."""

    def give(self, tasks: Sequence[Task]) -> Promise[list[Outcome]]:
        """Have them stored; what becomes of each."""
        ...

    def close(self) -> None:
        """Send everybody home; what has not been begun is not done any more."""
        ...


def crew(reader: FileReader, count: int) -> Crew:
    """`count` at work: processes for a store in a directory, where no other thread can be at work meanwhile."""
    store = reader.store
    if isinstance(store, ObjectBatch) and os.path.exists(_OPEN_FILES) and threading.active_count() == 1:
        return Processes(reader, store, count)
    return Threads(reader, count)


class Threads:
    """A Crew of threads, for any store."""

    def __init__(self, reader: FileReader, count: int) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._reader = reader
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="ingest")

    def give(self, tasks: Sequence[Task]) -> Promise[list[Outcome]]:
        return self._pool.submit(store_batch, self._reader, tasks)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class Processes:
    """A Crew of forked processes."""

    def __init__(self, reader: FileReader, store: ObjectBatch, count: int) -> None:
        self._store = store
        self._waiting: deque[_Job] = deque()
        self._workers: list[_Worker] = []
        for _ in range(count):
            self._workers.append(_forked(reader, store.outbox()))

    def give(self, tasks: Sequence[Task]) -> Promise[list[Outcome]]:
        job = _Job(self, pickle.dumps(tasks, pickle.HIGHEST_PROTOCOL))
        self._waiting.append(job)
        self._collect(0)
        self._hand_out()
        return job

    def wait_for(self, job: _Job) -> None:
        """Until the job is done. Raises what the store raised, whosever job it was."""
        while not job.done():
            self._hand_out()
            self._collect(None)

    def close(self) -> None:
        for worker in self._workers:
            os.close(worker.requests)
            os.close(worker.answers)
        for worker in self._workers:
            with suppress(ChildProcessError):
                os.waitpid(worker.pid, 0)

    def _hand_out(self) -> None:
        """Nobody shall wait for work, and no request for its reader."""
        for most in (0, 1):
            for worker in self._workers:
                if not self._waiting or len(worker.jobs) > most:
                    continue
                job = self._waiting[0]
                if worker.jobs and max(len(job.request), len(worker.jobs[-1].request)) > _FITS_A_PIPE:
                    continue
                self._waiting.popleft()
                worker.jobs.append(job)
                try:
                    _write(worker.requests, job.request)
                except BrokenPipeError:
                    raise _lost(worker) from None

    def _collect(self, timeout: float | None) -> None:
        """Take the answers that are there; with None wait for one."""
        busy = {worker.answers: worker for worker in self._workers if worker.jobs}
        for descriptor in select.select(list(busy), [], [], timeout)[0] if busy else ():
            worker = busy[descriptor]
            answer = _read(descriptor)
            if answer is None:
                raise _lost(worker)
            outcomes, written, found = _opened(answer)
            self._store.take(written, found)
            worker.jobs.popleft().outcomes = outcomes


@dataclass(slots=True, eq=False)
class _Job:
    """A batch on its way."""

    crew: Processes
    request: bytes
    outcomes: list[Outcome] | None = None

    def done(self) -> bool:
        return self.outcomes is not None

    def result(self) -> list[Outcome]:
        self.crew.wait_for(self)
        assert self.outcomes is not None  # noqa: S101 - waited for
        return self.outcomes


@dataclass(slots=True)
class _Worker:
    """A process, and what it has been asked for."""

    pid: int
    requests: int
    answers: int
    jobs: deque[_Job] = field(default_factory=deque)


def _forked(reader: FileReader, outbox: Outbox) -> _Worker:
    requests, to_worker = os.pipe()
    from_worker, answers = os.pipe()
    pid = os.fork()
    if pid:
        os.close(requests)
        os.close(answers)
        return _Worker(pid, to_worker, from_worker)
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the publisher's: this ends with it
        gc.disable()  # what the publisher had open is not ours to close by chance
        _close_all_but(requests, answers)
        _work(replace(reader, store=outbox), outbox, requests, answers)
        code = 0
    finally:
        os._exit(code)  # nothing of the publisher's own end is done twice


def _close_all_but(*kept: int) -> None:
    """The publisher's lock above all: it must be free as soon as the publisher is gone."""
    for name in os.listdir(_OPEN_FILES):
        descriptor = int(name)
        if descriptor not in _STANDARD_STREAMS and descriptor not in kept:
            with suppress(OSError):
                os.close(descriptor)


def _work(reader: FileReader, outbox: Outbox, requests: int, answers: int) -> None:
    """A worker's life."""
    while (request := _read(requests)) is not None:
        answer: object
        try:
            answer = (store_batch(reader, pickle.loads(request)), *outbox.handed_over())  # noqa: S301 - the publisher's
        except Exception as error:  # noqa: BLE001 - the publisher raises it
            answer = error
        try:
            _write(answers, pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
        except BrokenPipeError:
            return  # it is gone


def _opened(answer: bytes) -> tuple[list[Outcome], Any, Any]:
    found = pickle.loads(answer)  # noqa: S301 - of a process of our own
    if isinstance(found, BaseException):
        raise found
    outcomes, written, present = found
    return outcomes, written, present


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


def _lost(worker: _Worker) -> PublishError:
    return PublishError(
        f"the process {worker.pid}, which stored files, ended unexpectedly (was it killed, or is memory short?); "
        "nothing was changed in the repository, publish again"
    )
