"""Who stores the small files of a publication: processes where that can be, else threads.

Small files are mostly system calls, at each of which a thread lets go of the interpreter and waits for it again: two
threads and the one that scans spent more than half of their time with that (docs/adr/0017). A process of its own has an
interpreter of its own (publish.forked). Large files stay with threads: they compress megabytes at a time. One process
more gives stored objects their names, which is mostly waiting for the disk.
"""

from __future__ import annotations

import os
import pickle
import select
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from swrepo.errors import SwrepoError
from swrepo.objects.batch import ObjectBatch
from swrepo.objects.outbox import Outbox
from swrepo.publish.forked import OPEN_FILES, Forked
from swrepo.publish.promise import Promise
from swrepo.publish.reader import FileReader
from swrepo.publish.storing import Outcome, Task, pack_outcomes, pack_tasks, store_batch, unpack_outcomes, unpack_tasks

_FITS_A_PIPE = 60 << 10
"""Bytes of requests that can be written while their reader is busy."""
_MOST_AHEAD = 4
"""Requests that wait for a process: enough for what the publisher does between two looks."""


class Crew(Protocol):
    """Stores batches of files, several at a time. For one calling thread."""

    def give(self, tasks: Sequence[Task]) -> Promise[list[Outcome]]:
        """Have them stored; what becomes of each."""
        ...

    def no_more(self) -> None:
        """All has been stored: have it named while the caller goes on."""
        ...

    def close(self) -> None:
        """Send everybody home; what has not been begun is not done any more."""
        ...


def crew(reader: FileReader, count: int) -> Crew:
    """`count` at work: processes for a store in a directory, where no other thread can be at work meanwhile."""
    store = reader.store
    if isinstance(store, ObjectBatch) and os.path.exists(OPEN_FILES) and threading.active_count() == 1:
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

    def no_more(self) -> None:
        pass

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class Processes:
    """A Crew of forked processes."""

    def __init__(self, reader: FileReader, store: ObjectBatch, count: int) -> None:
        self._store = store
        self._waiting: deque[_Job] = deque()
        self._workers = [_Worker(_forked(reader, store.outbox())) for _ in range(count)]
        self._namer = _Namer(store)
        store.delegate(self._namer)

    def give(self, tasks: Sequence[Task]) -> Promise[list[Outcome]]:
        job = _Job(self, pack_tasks(tasks))
        self._waiting.append(job)
        self._collect(0)
        self._hand_out()
        return job

    def wait_for(self, job: _Job) -> None:
        """Until the job is done. Raises what the store raised, whosever job it was."""
        while not job.done():
            self._hand_out()
            self._collect(None)

    def no_more(self) -> None:
        self._store.begin_flush()

    def close(self) -> None:
        with suppress(SwrepoError):  # whoever flushes next has what was not named then
            self._store.delegate(None)
        everybody = [*(worker.process for worker in self._workers), self._namer.process]
        for process in everybody:
            process.close()
        for process in everybody:
            process.wait()

    def _hand_out(self) -> None:
        """Nobody shall wait for work, and no request for its reader."""
        for most in range(_MOST_AHEAD):
            for worker in self._workers:
                if self._waiting and len(worker.jobs) <= most and worker.has_room_for(self._waiting[0]):
                    job = self._waiting.popleft()
                    worker.jobs.append(job)
                    worker.process.send(job.request)

    def _collect(self, timeout: float | None) -> None:
        """Take the answers that are there; with None wait for one."""
        busy = [worker for worker in self._workers if worker.jobs]
        for worker in select.select(busy, [], [], timeout)[0] if busy else ():
            outcomes, written, found = worker.process.receive()
            self._store.take(written, found)
            worker.jobs.popleft().outcomes = unpack_outcomes(outcomes)


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


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, and what it has been asked for."""

    process: Forked
    jobs: deque[_Job] = field(default_factory=deque)

    def fileno(self) -> int:
        return self.process.fileno()

    def has_room_for(self, job: _Job) -> bool:
        """Whether the request can be written at once: the pipe holds all that may not have been read yet."""
        return not self.jobs or sum(len(known.request) for known in self.jobs) + len(job.request) <= _FITS_A_PIPE


class _Namer:
    """A Namer in a process of its own."""

    def __init__(self, store: ObjectBatch) -> None:
        self.process = Forked(lambda request: store.name(pickle.loads(request)))  # noqa: S301 - the publisher's

    def begin(self, batch: Mapping[str, str]) -> None:
        """See Namer."""
        self.process.send(pickle.dumps(batch, pickle.HIGHEST_PROTOCOL))

    def is_done(self) -> bool:
        """See Namer."""
        return bool(select.select([self.process], [], [], 0)[0])

    def finish(self) -> None:
        """See Namer."""
        self.process.receive()


def _forked(reader: FileReader, outbox: Outbox) -> Forked:
    own = replace(reader, store=outbox)

    def store(request: bytes) -> tuple[object, ...]:
        return (pack_outcomes(store_batch(own, unpack_tasks(request))), *outbox.handed_over())

    return Forked(store)
