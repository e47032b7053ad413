"""Fetches packs, a few at a time: what waits for an object in one is answered as soon as that is taken out."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from swrepo.errors import SwrepoError
from swrepo.fuse.session import Session
from swrepo.mount.ahead_ledger import Ledger, Origin
from swrepo.mount.reads import Reads
from swrepo.objects.packs import PackedObjects
from swrepo.objects.store import BringsAhead, Want
from swrepo.system.activity import Activity, Working

log = logging.getLogger(__name__)

_TASKS = 6
"""Packs that travel at a time, each over a connection of its own. Of 32 threads that fetch, the others are left."""

_MOST_FAILURES = 3
"""Packs in a row that could not be had: then those that wait are given up."""


class PackItem(NamedTuple):
    """A pack, what fetches the objects in it by themselves, and those of them that are wanted."""

    pack: PackedObjects
    objects: BringsAhead
    wants: Sequence[Want]


class Packs:
    """Safe from any thread. `_lock` guards the queue and the numbers; nothing is acquired under it."""

    def __init__(self, pool: Executor, session: Session, reads: Reads, ledger: Ledger) -> None:
        self._pool = pool
        self._session = session
        self._reads = reads
        self._ledger = ledger
        self._lock = threading.Lock()
        self._queue: deque[PackItem] = deque()
        self._tasks = self._failures = 0
        self.fetched = self.fetched_bytes = 0
        """Packs that came, and their plain bytes."""

    def fetch(self, items: Sequence[PackItem]) -> None:
        """Fetch these in this order."""
        with self._lock:
            self._queue.extend(items)
            more = min(_TASKS - self._tasks, len(items))
            self._tasks += more
            self._failures = 0
        for _ in range(more):
            try:
                self._pool.submit(self._run)
            except RuntimeError:  # the mount ends, and the pool takes no more work
                return

    def stop(self, reason: str) -> None:
        """Give up the packs that wait for their turn."""
        log.info("no more packs are fetched for now: %s", reason)
        with self._lock:
            self._queue.clear()

    def _run(self) -> None:
        """Runs in the pool, until nothing is queued any more."""
        while True:
            with self._lock:
                if not self._queue:
                    self._tasks -= 1
                    return
                item = self._queue.popleft()
            try:
                self._fetch(item)
            except Exception:
                log.exception("fetching a pack failed")

    def _fetch(self, item: PackItem) -> None:
        activity = Activity("fetching a pack")
        new = self._ledger.ask(list(item.wants), Origin.PACK)
        mine = {want.id: want for want in self._reads.expect(new, activity)}
        for want in new:
            if want.id not in mine:
                self._ledger.drop(want.id)

        def arrived(want: Want, was_here: bool) -> None:
            if mine.pop(want.id, None) is None:
                return
            if was_here:
                self._ledger.drop(want.id)
            else:
                self._ledger.arrived(want.id)
            self._reads.arrived(self._session, [want])

        try:
            with Working(activity):
                left = item.objects.bring_many(list(mine.values()), arrived, item.pack) if mine else []
                left = item.objects.bring_many(left, arrived) if left else []
                for want in left:
                    if not item.objects.bring(want):
                        self.stop("there is no room for it")
                        break
                    arrived(want, False)  # noqa: FBT003 - see BringsAhead
            self._note(item.pack)
        except SwrepoError as error:
            self._failed(error)
        finally:  # who waits for one that did not come tries by itself, and learns why
            for want in mine.values():
                self._ledger.drop(want.id)
            self._reads.arrived(self._session, list(mine.values()))

    def _note(self, pack: PackedObjects) -> None:
        with self._lock:
            self._failures = 0
            self.fetched += pack.size > 0
            self.fetched_bytes += pack.size

    def _failed(self, error: SwrepoError) -> None:
        log.info("the objects of a pack did not all come: %s", error)
        with self._lock:
            self._failures += 1
            failures = self._failures
        if failures >= _MOST_FAILURES:
            self.stop(str(error))
