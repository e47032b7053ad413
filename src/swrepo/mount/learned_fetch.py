"""Fetches what profiles and bundles list when their trigger is opened: catalogs, packs and single objects together."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

from swrepo.errors import SwrepoError
from swrepo.format.paths import parent
from swrepo.fuse.session import Session
from swrepo.mount.ahead_fetch import ReadingAhead
from swrepo.mount.ahead_ledger import Origin
from swrepo.mount.learned import Start, Triggers
from swrepo.mount.learned_packs import PackItem, Packs
from swrepo.mount.learned_plan import Plan, Planner
from swrepo.mount.reads import Reads
from swrepo.objects.packs import PackedObjects
from swrepo.objects.store import BringsAhead, ObjectSource
from swrepo.repository import profiles
from swrepo.repository.content import Content

log = logging.getLogger(__name__)

_CATALOG_TASKS = 8


class Learned:
    """One for a mount. `opened` is called by the loop's thread. `source`: where a repository's objects come from."""

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
        self.started = 0
        """Profiles and bundles whose trigger was opened."""

    def opened(self, node: int, content: Content) -> None:
        """A file is read that was not open."""
        for start in self._triggers.of(node, content):
            self.started += 1
            try:
                self._pool.submit(self._safely, start)
            except RuntimeError:  # the mount ends, and the pool takes no more work
                return

    def _safely(self, start: Start) -> None:
        """Runs in the pool."""
        try:
            self._run(start)
        except SwrepoError as error:
            log.info("%s fetches nothing: %s", start.name, error)
        except Exception:
            log.exception("fetching what %s lists failed", start.name)

    def _run(self, start: Start) -> None:
        """Read the list, and begin to fetch what is in catalogs that are here while others are loaded."""
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
            waiting = tuple(file for file, one in found if one is None)
            load = start.revision.tree.find
            tasks = [partial(load, directory) for directory in profiles.missing_catalogs(start.revision, listed)]
            if not tasks or not side_by_side([*tasks, *ahead]):
                return
            ahead = []

    def _begin(self, start: Start, chosen: Plan, source: ObjectSource) -> None:
        objects = start.revision.objects
        assert isinstance(objects, BringsAhead)  # noqa: S101 - who calls has looked
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
