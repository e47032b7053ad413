"""Fetches ahead what it is told to: in the background, most likely things first, each object once.

Two lanes: small objects, many of them with one task of the pool (docs/adr/0008), and large ones, each by itself. What
somebody waits for meanwhile has connections of its own and does not queue here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

from swrepo.errors import SwrepoError
from swrepo.format.object_id import Kind
from swrepo.fuse.session import Session
from swrepo.mount.ahead_ledger import Ledger, Origin
from swrepo.mount.one_processor import OneProcessor
from swrepo.mount.reads import Reads
from swrepo.objects.store import BringsAhead, Want
from swrepo.system.activity import Activity, Working

log = logging.getLogger(__name__)

_BATCH = 16
"""Small objects of one batch: their transfers run at the same time."""

_SMALL = 1 << 20
"""Plain bytes of an object that a batch takes."""

_BATCH_BYTES = 4 << 20
"""Plain bytes of a batch: so few of them are under way that the link is soon free for what somebody waits for."""

_NEAR_TASKS, _FAR_TASKS = 2, 4
"""Batches at a time. Near, while one is unpacked, the other travels: more would only take the processor from each
other. Far away all of them mostly wait."""

_LARGE_TASKS = 8
"""Large objects at a time: threads that must not be missing where somebody waits."""

_LARGE_BYTES = 48 << 20
"""Plain bytes of large objects under way, beyond which no further one is begun."""

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds for which nothing is fetched ahead after an error, doubled with each further one until something comes."""

_PRIORITIES = (
    Origin.CATALOGS,
    Origin.PROFILE,
    Origin.BUNDLE,
    Origin.CHUNKS,
    Origin.NAMED,
    Origin.WALK,
    Origin.NEIGHBOURS,
    Origin.FILL,
)
"""Which is fetched first of what waits."""

_GUESSES = (Origin.WALK, Origin.NEIGHBOURS)
"""What nobody named, and nobody has begun to read."""


class Item(NamedTuple):
    """An object to be fetched, what fetches it, and for whom."""

    want: Want
    objects: BringsAhead
    origin: Origin


class Lanes:
    """Safe from any thread. `_lock` guards queues and numbers; nothing is acquired under it.

    `on_here` is told of objects that are not fetched for who asked: they were here, somebody else has asked for them,
    or they were given up. `on_stop` is told that what waited was given up, and why. `has_room`: whether the cache keeps
    what is only guessed without letting go of anything. `on_catalog` is told of catalogs that are here now.
    """

    def __init__(
        self,
        pool: Executor,
        session: Session,
        reads: Reads,
        ledger: Ledger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._session = session
        self._reads = reads
        self._ledger = ledger
        self._lock = threading.Lock()
        self._small = {origin: deque[Item]() for origin in _PRIORITIES}
        self._large = {origin: deque[Item]() for origin in _PRIORITIES}
        self._small_tasks = self._large_tasks = self._large_bytes = 0
        self._clock = clock
        self._errors = 0
        self._resume_at = 0.0
        self._processor = OneProcessor()
        self.is_far: Callable[[], bool] = lambda: False
        self.has_room: Callable[[], bool] = lambda: True
        self.on_catalog: Callable[[Want], object] = lambda _want: None
        self.on_here: Callable[[Want], object] = lambda _want: None
        self.on_came: Callable[[Want], object] = lambda _want: None
        self.on_stop: Callable[[str], object] = lambda _reason: None

    def fetch(self, wants: Sequence[Want], objects: BringsAhead, origin: Origin) -> None:
        """Fetch these in this order, behind what was asked for by somebody more important; none soon after errors."""
        new = self._ledger.ask(list(wants), origin) if self._clock() >= self._resume_at else []
        items = [Item(want, objects, origin) for want in new]
        for want in set(wants) - set(new):
            self.on_here(want)
        far = self.is_far()
        with self._lock:
            for item in items:
                self._lane(item.want)[origin].append(item)
            waiting = sum(map(len, self._small.values()))
            wanted = max(0, min(_FAR_TASKS if far else _NEAR_TASKS, -(-waiting // _BATCH)) - self._small_tasks)
            self._small_tasks += wanted
            more = max(0, min(_LARGE_TASKS, sum(map(len, self._large.values()))) - self._large_tasks)
            self._large_tasks += more
        if wanted and not far and origin is Origin.WALK:  # which is asked for by the thread of the loop
            self._processor.gather()
        for _ in range(wanted):
            self.submit(self._run_small)
        for _ in range(more):
            self.submit(self._run_large)

    def is_fetching(self, origin: Origin) -> bool:
        """Whether something that was asked for by `origin` still waits for its turn."""
        with self._lock:
            return bool(self._small[origin] or self._large[origin])

    def bring(self, wants: Sequence[Want], objects: BringsAhead, origin: Origin) -> bool:
        """Fetch these in the thread that calls; False where they could not be had, or not be kept."""
        new = self._ledger.ask(list(wants), origin)
        return not new or self._fetch_from(objects, new)

    def stop(self, reason: str) -> None:
        """Give up what waits for its turn."""
        log.info("nothing is fetched ahead for now: %s", reason)
        with self._lock:
            given_up = [item for queues in (self._small, self._large) for queue in queues.values() for item in queue]
            for queues in (self._small, self._large):
                for queue in queues.values():
                    queue.clear()
        self._drop(given_up)
        self.on_stop(reason)

    def _drop(self, given_up: list[Item]) -> None:
        for item in given_up:
            self._ledger.drop(item.want.id)
            self.on_here(item.want)

    def _lane(self, want: Want) -> dict[Origin, deque[Item]]:
        return self._small if want.size is not None and want.size <= _SMALL else self._large

    def submit(self, task: Callable[[], object]) -> None:
        """Have the pool do it, unless the mount ends."""
        try:
            self._pool.submit(task)
        except RuntimeError:  # the mount ends, and the pool takes no more work
            log.debug("nothing is fetched ahead any more")

    # In the pool

    def _run_small(self) -> None:
        self._processor.join()
        try:
            while batch := self._next_batch():
                self._fetch(batch)
        finally:
            self._processor.leave()

    def _run_large(self) -> None:
        while (item := self._next_large()) is not None:
            try:
                self._fetch([item])
            finally:
                with self._lock:
                    self._large_bytes -= item.want.size or 0

    def _next_batch(self) -> list[Item]:
        self._drop_without_room()
        batch: list[Item] = []
        size = 0
        with self._lock:
            for origin in _PRIORITIES:
                queue = self._small[origin]
                while queue and len(batch) < _BATCH and size < _BATCH_BYTES:
                    batch.append(queue.popleft())
                    size += batch[-1].want.size or 0
            if not batch:
                self._small_tasks -= 1
        return batch

    def _drop_without_room(self) -> None:
        """Guesses are not worth what would have to go from the cache for them; it is looked before each batch."""
        guesses = [lane[origin] for lane in (self._small, self._large) for origin in _GUESSES]
        if any(guesses) and not self.has_room():
            with self._lock:
                given_up = [item for queue in guesses for item in queue]
                for queue in guesses:
                    queue.clear()
            self._drop(given_up)

    def _next_large(self) -> Item | None:
        self._drop_without_room()
        with self._lock:
            if not self._large_bytes or self._large_bytes < _LARGE_BYTES:
                for origin in _PRIORITIES:
                    if self._large[origin]:
                        item = self._large[origin].popleft()
                        self._large_bytes += item.want.size or 0
                        return item
            self._large_tasks -= 1
            return None

    def _fetch(self, batch: list[Item]) -> None:
        try:
            for objects in dict.fromkeys(item.objects for item in batch):
                self._fetch_from(objects, [item.want for item in batch if item.objects is objects])
        except Exception:
            log.exception("fetching ahead failed")

    def _fetch_from(self, objects: BringsAhead, wants: list[Want]) -> bool:
        activity = Activity("fetching ahead")
        mine = {want.id: want for want in self._reads.expect(wants, activity)}
        for want in wants:
            if want.id not in mine:
                self._ledger.drop(want.id)

        def arrived(want: Want, was_here: bool) -> None:
            if mine.pop(want.id, None) is None:
                return
            if was_here:
                self._ledger.drop(want.id)
                self.on_here(want)
            else:
                self._ledger.arrived(want.id)
                self._errors = 0
            self._reads.arrived(self._session, [want])
            self.on_came(want)
            if want.id.kind is Kind.CATALOG:  # as a task of its own: what is claimed here must wait for no lock
                self.submit(partial(self.on_catalog, want))

        try:
            with Working(activity):
                for want in objects.bring_many(list(mine.values()), arrived) if mine else ():
                    if not objects.bring(want):
                        self.stop("there is no room for it")
                        return False
                    arrived(want, False)  # noqa: FBT003
        except SwrepoError as error:
            self._resume_at = self._clock() + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**self._errors)
            self._errors = min(self._errors + 1, 10)
            self.stop(str(error))
            self._end(list(mine.values())[:1], error)
            mine = dict(list(mine.items())[1:])
            return False
        finally:
            self._end(list(mine.values()))
        return True

    def _end(self, wants: list[Want], error: SwrepoError | None = None) -> None:
        """These did not come."""
        for want in wants:
            self._ledger.drop(want.id)
        self._reads.arrived(self._session, wants, error)
