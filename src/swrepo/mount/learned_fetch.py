"""Fetches what profiles and bundles list when their trigger is opened: catalogs, packs and single objects together."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from functools import partial

from swrepo.errors import SwrepoError
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import parent
from swrepo.fuse.session import Session
from swrepo.mount.ahead_fetch import ReadingAhead
from swrepo.mount.ahead_ledger import Origin
from swrepo.mount.learned import Start, Triggers
from swrepo.mount.learned_packs import PackItem, Packs
from swrepo.mount.learned_plan import Plan, Planner
from swrepo.mount.openings import FileRead
from swrepo.mount.reads import Reads
from swrepo.objects.packs import PackedObjects
from swrepo.objects.store import BringsAhead, ObjectSource
from swrepo.repository import profiles

log = logging.getLogger(__name__)

_CATALOG_TASKS = 8
_REMEMBERED = 100_000
"""Objects of which it is known that a list has them."""


class Learned:
    """One for a mount. `seen` is called by the loop's thread. `source`: where a repository's objects come from."""

    def __init__(
        self,
        triggers: Triggers,
        pool: Executor,
        session: Session,
        reads: Reads,
        ahead: ReadingAhead,
        source: Callable[[str], ObjectSource | None],
    ) -> None:
        self._triggers = triggers
        self._pool = pool
        self._ahead = ahead
        self._source = source
        self.packs = Packs(pool, session, reads, ahead.ledger)
        self.local = triggers.local
        self._lock = threading.Lock()  # guards _reading
        self._reading = 0
        self._listed: set[ObjectId] = set()
        self.started = 0
        """Profiles and bundles whose trigger was opened."""

    def seen(self, read: FileRead) -> bool:
        """A file is opened, or another chunk is read: start what that starts, and say whether a list has it."""
        if not self._ahead.is_on:
            return False
        for start in self._triggers.of(read.node, read.content) if read.is_new else ():
            self.started += 1
            with self._lock:
                self._reading += 1
            try:
                self._pool.submit(self._safely, start)
            except RuntimeError:  # the mount ends, and the pool takes no more work
                return True
        if self._reading:
            return True
        return bool(self._listed) and any(want.id in self._listed for want in read.content.wants(read.offset, 1))

    def _safely(self, start: Start) -> None:
        """Runs in the pool."""
        try:
            with ExitStack() as reading:
                reading.callback(self._was_read)
                self._run(start, was_read=reading.close)
        except SwrepoError as error:
            log.info("%s fetches nothing: %s", start.name, error)
        except Exception:
            log.exception("fetching what %s lists failed", start.name)

    def _was_read(self) -> None:
        with self._lock:
            self._reading -= 1

    def _run(self, start: Start, was_read: Callable[[], None]) -> None:
        """Read the list, and begin to fetch what is in catalogs that are here, or did not change; load the others."""
        objects, source = start.revision.objects, self._source(start.volume.name)
        if not isinstance(objects, BringsAhead) or source is None:
            return
        listed = start.load()
        room = self._triggers.room(_limit(objects))
        planner, waiting = Planner(room), listed.files
        is_unchanged = profiles.unchanged(start.revision, listed)
        ahead = [partial(objects.bring, want) for want in profiles.noted_catalogs(start.revision, listed, room)]
        while True:
            found = [(file, profiles.resolve(start.revision, file)) for file in waiting]
            taken = [
                one or profiles.as_noted(file, is_unchanged=is_unchanged(parent(file.path))) for file, one in found
            ]
            self._begin(start, planner.plan([one for one in taken if one is not None]), source)
            was_read()
            waiting = tuple(file for file, one in found if one is None)
            load = start.revision.tree.find
            tasks = [partial(load, directory) for directory in profiles.missing_catalogs(start.revision, listed)]
            if not tasks or not side_by_side([*tasks, *ahead]):
                return
            ahead = []

    def _begin(self, start: Start, chosen: Plan, source: ObjectSource) -> None:
        objects = start.revision.objects
        assert isinstance(objects, BringsAhead)  # noqa: S101 - who calls has looked
        if len(self._listed) > _REMEMBERED:
            self._listed = set()
        self._listed.update(want.id for wants in (chosen.singles, *chosen.packs.values()) for want in wants)
        items = []
        for number, wants in chosen.packs.items():
            try:
                pack = profiles.pack_wants(start.revision, start.name, number)
            except SwrepoError as error:
                log.info("%s has no pack %d: %s", start.name, number, error)
                chosen.singles.extend(wants)
            else:
                items.append(PackItem(PackedObjects(source, pack), objects, wants))
        self.packs.fetch(items)
        origin = Origin.BUNDLE if start.is_bundle else Origin.PROFILE
        self._ahead.fetch(chosen.singles, objects, origin)


def side_by_side(tasks: Sequence[Callable[[], object]]) -> bool:
    """Run these, some at a time, up to the first that fails; whether any of them succeeded."""
    done: list[object] = []
    left = deque(tasks)

    def work() -> None:
        while left:
            try:
                task = left.popleft()
            except IndexError:  # another thread took the last one
                return
            try:
                done.append(task())
            except SwrepoError as error:
                log.info("no more catalogs are loaded ahead: %s", error)
                left.clear()

    others = [threading.Thread(target=work, daemon=True) for _ in range(min(_CATALOG_TASKS, len(tasks)) - 1)]
    for other in others:
        other.start()
    work()
    for other in others:
        other.join()
    return bool(done)


def _limit(objects: object) -> int | None:
    quota = getattr(objects, "quota", None)
    return None if quota is None else int(quota.limit)
