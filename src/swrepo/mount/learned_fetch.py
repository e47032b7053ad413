"""Fetches what profiles and bundles list when their trigger is opened: catalogs, packs and single objects together."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from swrepo.errors import SwrepoError
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
from swrepo.repository.revision import Revision

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
        planner, waiting = Planner(self._triggers.room(_limit(objects))), listed.files
        while True:
            found = [(file, profiles.resolve(start.revision, file)) for file in waiting]
            # What is packed comes at once: its catalog need not be here, and says later if it is not the same any more.
            taken = [one or profiles.as_noted(file) for file, one in found]
            self._begin(start, planner.plan([one for one in taken if one is not None]), source)
            waiting = tuple(file for file, one in found if one is None)
            directories = list(profiles.missing_catalogs(start.revision, listed))
            if not directories or not _load(start.revision, directories):
                return

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


def _load(revision: Revision, directories: Sequence[bytes]) -> bool:
    """Load the catalogs of directories side by side; whether any came."""
    came: list[bytes] = []
    left = deque(directories)

    def work() -> None:
        while left:
            try:
                directory = left.popleft()
            except IndexError:  # another thread took the last one
                return
            try:
                revision.tree.find(directory)
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


def _limit(objects: object) -> int | None:
    quota = getattr(objects, "quota", None)
    return None if quota is None else int(quota.limit)
