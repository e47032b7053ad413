"""Changes whose content is still unread become complete ones, in the same order, with all cores at work.

Small files travel in batches to a crew (publish.crew), each of which reads, compresses and stores one file after the
other. A large file is read and cut by the calling thread, and its chunks go to threads. Memory is bounded: each of the
crew holds one file of at most the smallest chunk's size, and few chunks are under way at a time.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

from swrepo.format.dirent import Chunk, Dirent, Flag
from swrepo.publish.changes import Change, Identity, Left, Put
from swrepo.publish.comparison import Previous
from swrepo.publish.entries import EntryRules, same
from swrepo.publish.faults import Faults
from swrepo.publish.last_revision import LastRevision
from swrepo.publish.progress import Progress
from swrepo.publish.promise import Known, Promise
from swrepo.publish.reader import FileReader
from swrepo.publish.source_file import UnstableFileError
from swrepo.publish.staged import Content, Staged
from swrepo.publish.storing import Outcome, Task, store_batch, store_one

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from swrepo.publish.crew import Crew

_BATCH_FILES = 64
_BATCH_SIZE = 2 << 20
_AHEAD = 20_000
"""Changes that wait for the content of one before them."""


@dataclass(slots=True)
class _Batch:
    """Files that are read together, in order; `outcomes` once they have been given away."""

    tasks: list[Task] = field(default_factory=list)
    size: int = 0
    outcomes: Promise[list[Outcome]] | None = None


class _Waiting(NamedTuple):
    """A change with the way to its content: known, or a place in a batch. Neither where nothing is to be read."""

    change: Change
    known: Outcome | Content | None = None
    batch: _Batch | None = None
    place: int = 0
    asked_at_ns: int = 0
    told: int = 0


@dataclass(slots=True)
class _Journal:
    """A Journal in the table of stored contents, for a file that is read since `read_at_ns`. Tells the progress."""

    staged: Staged
    progress: Progress
    read_at_ns: int
    told: int = 0

    def begun(self, file: Identity) -> tuple[Chunk, ...]:
        return self.staged.begun(file)

    def note(self, file: Identity, chunk: Chunk) -> None:
        self.staged.note(file, chunk, self.read_at_ns)
        self.progress.advance(0, chunk.size)
        self.told += chunk.size


class Ingest:
    """The step between a scan and the catalogs. For one calling thread; close it (it is a context manager)."""

    def __init__(
        self,
        source: bytes,
        reader: FileReader,
        rules: EntryRules,
        last: LastRevision,
        staged: Staged,
        faults: Faults,
        progress: Progress,
        threads: int | None = None,
    ) -> None:
        self._source = source.rstrip(b"/")
        self._reader = reader
        self._rules = rules
        self._last = last
        self._staged = staged
        self._faults = faults
        self._progress = progress
        self._count = threads or len(os.sched_getaffinity(0))
        self._crew: Crew | None = None  # only when there is work for one
        self._pool: ThreadPoolExecutor | None = None  # of chunks
        self._chunk_slots = threading.BoundedSemaphore(self._count + 1)
        self._open_batch = _Batch()
        self._leader = _Waiting(Left(b""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        if self._crew is not None:
            self._crew.close()

    def complete(self, changes: Iterable[Change]) -> Iterator[Change]:
        """The changes with their contents, those left out that turn out to be none, and those that are now faults."""
        queue: deque[_Waiting] = deque()
        for change in changes:
            queue.append(self._begin(change))
            while queue and (len(queue) > _AHEAD or _is_ready(queue[0])):
                yield from self._finish(queue.popleft())
        self._progress.expect_no_more()
        while queue:
            yield from self._finish(queue.popleft())
        if self._crew is not None:
            self._crew.no_more()

    def _begin(self, change: Change) -> _Waiting:
        """Start to read the content, if there is any to read."""
        if not isinstance(change, Put) or change.read is None:
            return _Waiting(change)
        self._progress.expect(1, change.read.size)
        if change.group is not None and change.group == self._leader.change.path:
            return self._leader._replace(change=change, told=0)
        waiting = self._begin_file(change, change.read)
        if change.group is not None:
            self._leader = waiting  # the other names of this file come right behind it
        return waiting

    def _begin_file(self, put: Put, identity: Identity) -> _Waiting:
        found = self._staged.find(identity)
        if found is not None and self._is_stored(put.entry, found):
            return _Waiting(put, found)
        now = self._staged.now_ns()
        task = Task(self._source + put.path, identity, self._previous(put))
        if identity.size > self._reader.whole_limit:
            self._hired()  # before there are threads
            journal = _Journal(self._staged, self._progress, now)
            outcome = store_one(self._reader, task, self._submit_chunk, journal)
            return _Waiting(put, outcome, asked_at_ns=now, told=journal.told)
        batch = self._open_batch
        batch.tasks.append(task)
        batch.size += identity.size
        waiting = _Waiting(put, None, batch, len(batch.tasks) - 1, now)
        if len(batch.tasks) >= _BATCH_FILES or batch.size >= _BATCH_SIZE:
            self._send(self._hired())
        return waiting

    def _hired(self) -> Crew:
        if self._crew is None:
            from swrepo.publish.crew import crew

            self._crew = crew(self._reader, self._count)
        return self._crew

    def _is_stored(self, entry: Dirent, content: Content) -> bool:
        """Whether a content that was stored earlier is still there, or need not be."""
        if content.flags & Flag.EXTERNAL:
            return True
        if content.digest is not None:
            whole = entry._replace(digest=content.digest).content
            return whole is not None and self._reader.store.has(whole)
        return all(self._reader.store.has(entry.chunk_id(chunk)) for chunk in content.chunks)

    def _previous(self, put: Put) -> Previous | None:
        old = put.old
        if old is None or not old.is_regular:
            return None
        return Previous(old, self._last.chunks(put.path) if old.is_chunked else ())

    def _submit_chunk(self, function: Callable[[], bytes]) -> Future[bytes]:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="chunks")
        self._chunk_slots.acquire()  # given back by whoever has done the work
        future = self._pool.submit(function)
        future.add_done_callback(lambda _: self._chunk_slots.release())
        return future

    def _send(self, to: Crew | None) -> Promise[list[Outcome]]:
        """Have the open batch stored; few files, of which there were never more, by this very thread."""
        batch, self._open_batch = self._open_batch, _Batch()
        batch.outcomes = Known(store_batch(self._reader, batch.tasks)) if to is None else to.give(batch.tasks)
        batch.tasks = []
        return batch.outcomes

    def _finish(self, waiting: _Waiting) -> Iterator[Change]:
        put = waiting.change
        if not isinstance(put, Put) or put.read is None:
            yield put
            return
        outcome = waiting.known
        if waiting.batch is not None:
            outcome = (waiting.batch.outcomes or self._send(self._crew)).result()[waiting.place]
        complete = self._completed(put, put.read, outcome, waiting)
        if complete is not None and not self._is_as_before(complete):
            yield complete

    def _completed(
        self, put: Put, identity: Identity, outcome: Outcome | Content | None, waiting: _Waiting
    ) -> Put | None:
        """The change with its content; None where there is a fault."""
        if isinstance(outcome, OSError):
            self._faults.add_os(put.path, outcome)
            return None
        if isinstance(outcome, UnstableFileError) or outcome is None:
            self._faults.add_unreadable(put.path, str(outcome))
            return None
        entry = put.entry
        if isinstance(outcome, Content):
            content = outcome
        else:
            content, now = outcome.content, identity
            if outcome.status is not None:
                now, entry = Identity.of(outcome.status), self._rules.restamp(entry, outcome.status)
            self._staged.add(now, content, waiting.asked_at_ns)
        self._progress.advance(1, entry.size - waiting.told)
        entry = entry.with_content(content.digest, content.flags)
        return Put(put.path, entry, put.old, None, put.group, put.regrouped, put.nested, content.chunks)

    def _is_as_before(self, put: Put) -> bool:
        if put.old is None or put.regrouped or not same(put.entry, put.old):
            return False
        return not put.chunks or put.chunks == self._last.chunks(put.path)


def _is_ready(waiting: _Waiting) -> bool:
    batch = waiting.batch
    return batch is None or (batch.outcomes is not None and batch.outcomes.done())
