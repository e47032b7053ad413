"""Fetches ahead what the policy says: many objects with one task of the pool, behind what somebody waits for."""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import Executor

from swrepo.errors import SwrepoError
from swrepo.fuse.session import Session
from swrepo.mount.ahead import Ahead, AheadCounters, Nearby
from swrepo.mount.ahead_chunks import ChunksAhead
from swrepo.mount.ahead_walk import walk_from
from swrepo.mount.one_processor import OneProcessor
from swrepo.mount.reads import Reads
from swrepo.objects.store import BringsAhead, Want
from swrepo.repository.content import Content
from swrepo.system.activity import Activity, Working
from swrepo.vfs.tree import Vfs

log = logging.getLogger(__name__)

_BATCH = 16
"""Objects of one batch: their transfers run at the same time."""

_TASKS = 2
"""Batches at a time: while one is unpacked, the other travels. More would only take the processor from each other."""

_LARGE_TASKS = 8
"""Chunks at a time, of all files together: threads that must not be missing where somebody waits."""


class ReadingAhead:
    """Fetches ahead of the walks in one mount. `opened` is called by the loop's thread only."""

    def __init__(self, vfs: Vfs, pool: Executor, session: Session, reads: Reads) -> None:
        self._vfs = vfs
        self._pool = pool
        self._session = session
        self._reads = reads
        self._policy = Ahead(lambda number: walk_from(vfs, number))
        self._lock = threading.Lock()  # guards _queue, _tasks and _large
        self._queue: deque[Nearby] = deque()
        self._tasks = self._large = 0
        self._chunks = ChunksAhead()
        self._processor = OneProcessor()
        self._news: deque[Nearby | None] = deque()
        self.expects = self._policy.expects

    @property
    def counters(self) -> AheadCounters:
        """What was fetched ahead, and what was then used."""
        return self._policy.counters

    def opened(self, number: int) -> None:
        """A file was opened that is not here, or that `expects` says is of interest."""
        while self._news:
            here = self._news.popleft()
            if here is None:
                self._policy.stop()
            else:
                self._policy.was_here(here.number)
        try:
            with self._vfs.lock:
                files = self._policy.opened(number)
        except SwrepoError as error:
            log.info("nothing is fetched ahead of node %d: %s", number, error)
            self._policy.stop()
            return
        if files:
            self._start(files)

    def chunk_read(self, number: int, content: Content, offset: int) -> None:
        """A file of many chunks is read, at this byte."""
        wants = self._chunks.read(number, content.chunk_at(offset), content.chunks)
        objects = content.objects
        if not wants or not isinstance(objects, BringsAhead):
            return
        for want in wants:
            with self._lock:
                if self._large >= _LARGE_TASKS:
                    return
                self._large += 1
            self._pool.submit(self._run_large, Nearby(number, want, objects))

    def _run_large(self, chunk: Nearby) -> None:
        """Runs in the pool."""
        try:
            self._fetch([chunk])
        except Exception:
            log.exception("fetching ahead failed")
        finally:
            with self._lock:
                self._large -= 1

    def _start(self, files: list[Nearby]) -> None:
        with self._lock:
            self._queue.extend(files)
            wanted = min(_TASKS, -(-len(self._queue) // _BATCH)) - self._tasks
            self._tasks += max(0, wanted)
        if wanted > 0:
            self._processor.gather()
        for _ in range(wanted):
            self._pool.submit(self._run)

    def _run(self) -> None:
        """Runs in the pool."""
        self._processor.join()
        try:
            self._fetch_queued()
        finally:
            self._processor.leave()

    def _fetch_queued(self) -> None:
        """Until nothing is queued any more."""
        while True:
            with self._lock:
                batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
                if not batch:
                    self._tasks -= 1
                    return
            try:
                self._fetch(batch)
            except Exception:
                log.exception("fetching ahead failed")

    def _fetch(self, batch: list[Nearby]) -> None:
        activity = Activity("fetching ahead")
        files = {file.want.id: file for file in self._reads.expect(batch, activity)}

        def arrived(want: Want, was_here: bool) -> None:
            file = files.pop(want.id, None)
            if file is not None:
                if was_here:
                    self._news.append(file)
                self._reads.arrived(self._session, [file])

        try:
            with Working(activity):
                if files:
                    objects = next(iter(files.values())).objects
                    for want in objects.bring_many([file.want for file in files.values()], arrived):
                        if not objects.bring(want):
                            self._stop("there is no room for it")
                            break
                        arrived(want, False)  # noqa: FBT003
        except SwrepoError as error:
            self._stop(str(error))
            self._reads.arrived(self._session, list(files.values())[:1], error)
            files = dict(list(files.items())[1:])
        finally:
            self._reads.arrived(self._session, list(files.values()))

    def _stop(self, reason: str) -> None:
        log.info("nothing is fetched ahead for now: %s", reason)
        self._news.append(None)
        with self._lock:
            self._queue.clear()
