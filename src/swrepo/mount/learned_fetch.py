"""Fetches what profiles and bundles list when their trigger is opened: many parts at a time."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor

from swrepo.errors import SwrepoError
from swrepo.fuse.session import Session
from swrepo.mount.ahead import Nearby
from swrepo.mount.learned import Start, Triggers
from swrepo.mount.learned_ledger import Ledger, Origin
from swrepo.mount.learned_plan import Part, parts
from swrepo.mount.reads import Reads
from swrepo.objects.packs import PackedObjects
from swrepo.objects.store import BringsAhead, ObjectSource, Want
from swrepo.repository import profiles
from swrepo.repository.content import Content
from swrepo.repository.profiles import Resolved
from swrepo.system.activity import Activity, Working

log = logging.getLogger(__name__)

_TASKS = 10
"""Parts that travel at a time, out of 32 threads that fetch: the others are for who waits."""

_CATALOG_TASKS = 8
_MOST_FAILURES = 3
"""Parts in a row that could not be had: then the rest is left to who asks for it."""


class Learned:
    """One for a mount. `opened`, `read`: on the loop's thread. `source` gives where a repository's objects come from."""

    def __init__(
        self,
        triggers: Triggers,
        pool: Executor,
        session: Session,
        reads: Reads,
        source: Callable[[str], ObjectSource | None],
    ) -> None:
        self._triggers = triggers
        self._pool = pool
        self._session = session
        self._reads = reads
        self._source = source
        self.ledger = Ledger()
        self.started = 0
        """Profiles and bundles whose trigger was opened."""

    def read(self, content: Content, offset: int, size: int) -> None:
        """So much of a file is read: what was fetched for it is used."""
        for want in content.wants(offset, size):
            self.ledger.used(want.id)

    def opened(self, node: int, content: Content) -> None:
        """A file is read that was not open."""
        for start in self._triggers.of(node, content):
            self.started += 1
            self._pool.submit(self._safely, start)

    def _safely(self, start: Start) -> None:
        """Runs in the pool."""
        try:
            _Run(self._pool, self._session, self._reads, self.ledger, self._source).run(
                start, self._triggers.room(_limit(start))
            )
        except SwrepoError as error:
            log.info("%s fetches nothing: %s", start.name, error)
        except Exception:
            if self._session.agreement is not None:
                log.exception("fetching what %s lists failed", start.name)


class _Run:
    """One start: from the list to the last object. `_lock` guards the queue and the counts."""

    def __init__(
        self,
        pool: Executor,
        session: Session,
        reads: Reads,
        ledger: Ledger,
        source: Callable[[str], ObjectSource | None],
    ) -> None:
        self._pool = pool
        self._session = session
        self._reads = reads
        self._ledger = ledger
        self._source_of = source
        self._lock = threading.Lock()
        self._queue: deque[Part] = deque()
        self._tasks = self._failures = 0

    def run(self, start: Start, room: int) -> None:
        """Read the list, and begin to fetch what is in catalogs that are here while others are loaded."""
        objects, source = start.revision.objects, self._source_of(start.volume.name)
        if not isinstance(objects, BringsAhead) or source is None:
            return
        self._start, self._objects, self._source = start, objects, source
        listed = start.load()
        waiting = list(listed.files)
        while True:
            found = [(file, profiles.resolve(start.revision, file)) for file in waiting]
            known = [one for _, one in found if one is not None]
            room -= self._begin(known, room)
            waiting = [file for file, one in found if one is None]
            directories = list(profiles.missing_catalogs(start.revision, listed))
            if not directories or not self._load(directories):
                return

    def _begin(self, files: list[Resolved], room: int) -> int:
        origin = Origin.BUNDLE if self._start.is_bundle else Origin.PROFILE
        chosen = parts(files, origin, room)
        for part in chosen:
            self._ledger.expect(part.origin, part.wants)
        with self._lock:
            self._queue.extend(chosen)
            more = min(_TASKS - self._tasks, len(self._queue))
            self._tasks += more
        for _ in range(more):
            self._pool.submit(self._work)
        return sum(want.size or 0 for part in chosen for want in part.wants)

    def _load(self, directories: list[bytes]) -> bool:
        """Load catalogs side by side; whether any came."""
        tree = self._start.revision.tree
        came: list[bytes] = []
        left = deque(directories)

        def work() -> None:
            while True:
                try:
                    directory = left.popleft()
                except IndexError:
                    return
                try:
                    tree.find(directory)
                    came.append(directory)
                except SwrepoError as error:
                    log.info("the catalog of %r is not loaded ahead: %s", directory, error)

        others = [threading.Thread(target=work, daemon=True) for _ in range(min(_CATALOG_TASKS, len(directories)) - 1)]
        for other in others:
            other.start()
        work()
        for other in others:
            other.join()
        return bool(came)

    def _work(self) -> None:
        """Runs in the pool, until nothing is queued any more."""
        while True:
            with self._lock:
                if not self._queue:
                    self._tasks -= 1
                    return
                part = self._queue.popleft()
            try:
                self._fetch(part)
            except Exception:
                log.exception("fetching what %s lists failed", self._start.name)

    def _fetch(self, part: Part) -> None:
        activity = Activity(f"fetching what {self._start.name} lists")
        files = {file.want.id: file for file in self._reads.expect(self._nearby(part.wants), activity)}

        def arrived(want: Want, was_here: bool) -> None:
            self._ledger.came(want.id, was_here=was_here)
            file = files.pop(want.id, None)
            if file is not None:
                self._reads.arrived(self._session, [file])

        try:
            with Working(activity):
                self._bring([file.want for file in files.values()], part, arrived)
            self._failures = 0
        except SwrepoError as error:
            log.info("%s: %s", self._start.name, error)
            self._failures += 1
            if self._failures >= _MOST_FAILURES:
                self._stop(str(error))
        finally:  # who waits for one that did not come tries by itself, and learns why
            self._reads.arrived(self._session, list(files.values()))

    def _bring(self, wants: list[Want], part: Part, arrived: Callable[[Want, bool], object]) -> None:
        if not wants:
            return
        left: Iterable[Want] = wants
        if part.pack is not None:
            pack = PackedObjects(self._source, profiles.pack_wants(self._start.revision, self._start.name, part.pack))
            left = self._objects.bring_many(wants, arrived, pack)
            with self._lock:
                self._ledger.pack_bytes += pack.size
        if len(wants) > 1 and left:
            left = self._objects.bring_many(list(left), arrived)
        for want in left:
            if not self._objects.bring(want):
                self._stop("there is no room for it")
                return
            arrived(want, False)  # noqa: FBT003 - see BringsAhead

    def _nearby(self, wants: Iterable[Want]) -> list[Nearby]:
        return [Nearby(0, want, self._objects) for want in wants]

    def _stop(self, reason: str) -> None:
        log.info("no more is fetched of what %s lists: %s", self._start.name, reason)
        with self._lock:
            self._queue.clear()


def _limit(start: Start) -> int | None:
    quota = getattr(start.revision.objects, "quota", None)
    return None if quota is None else int(quota.limit)
