"""Fills a cache with a revision, or parts of one, before anybody asks: what `swrepo preload` does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field

from swrepo.cache.inventory import held
from swrepo.client.access import Access
from swrepo.client.parts import EVERYTHING, Parts
from swrepo.errors import CacheFull, SwrepoError
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import ROOT, is_within
from swrepo.objects.store import BringsAhead, Want
from swrepo.repository.content import wanted_objects
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk
from swrepo.system.priority import go_last

PARALLEL = 16
_AHEAD = 16
"""Objects that wait for their turn, for each thread: enough to keep all busy."""

_BATCH = 64
"""Small objects that one thread fetches together, `_TOGETHER` at a time; so fewer threads do."""

_MODEST_BATCH, _MODEST_LARGE = 16, 2
"""The same where others go first, who wait for no more than is under way; and large objects at a time."""

_TOGETHER = 4
_SMALL = 1 << 20

_ENOUGH_ERRORS = 100


@dataclass(slots=True)
class Preloaded:
    """What is in the cache now: entries of the tree, objects and plain bytes behind them, and what came just now.

    `external` files are kept elsewhere and cannot be brought.
    """

    entries: int = 0
    objects: int = 0
    size: int = 0
    fetched: int = 0
    fetched_size: int = 0
    external: int = 0
    errors: list[SwrepoError] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether nothing failed."""
        return not self.errors


def preload(
    access: Access,
    parts: Parts = EVERYTHING,
    *,
    jobs: int = PARALLEL,
    seen: Callable[[int], object] = lambda _size: None,
    give_way: Callable[[], object] | None = None,
) -> Preloaded:
    """Bring what the open revision reaches within `parts` into its cache, `jobs` objects at a time.

    What is there already stays; what is there and suspect since a power cut is checked. Last of all, and only when
    nothing failed, the cache gets what a mount without a server needs. `seen` is told of each object with its size.
    `give_way`: waits until nobody else needs the link, and is called before each request, of which fewer are sent
    together then. Raises CacheFull where there is no room. It can be run again.
    """
    filling = _Filling(access, parts, jobs, seen, give_way)
    filling.run()
    filling.check_room()
    if filling.outcome.is_complete:
        access.cache.settle()
        access.remember()
    counters = access.cache.counters
    filling.outcome.fetched, filling.outcome.fetched_size = counters.fetched, counters.fetched_bytes
    return filling.outcome


class _Filling:
    """One run. `_lock` guards the outcome."""

    def __init__(
        self,
        access: Access,
        parts: Parts,
        jobs: int,
        seen: Callable[[int], object],
        give_way: Callable[[], object] | None = None,
    ) -> None:
        self._begin = (lambda: None) if give_way is None else give_way
        self._begin_thread = (lambda: None) if give_way is None else go_last
        self._batch, self._large = (_BATCH, jobs) if give_way is None else (_MODEST_BATCH, min(jobs, _MODEST_LARGE))
        self.outcome = Preloaded()
        self._access = access
        self._cache = access.cache
        self._parts = parts
        self._jobs = jobs
        self._seen = seen
        self._lock = threading.Lock()
        self._unkept = access.cache.counters.unkept
        self._evicted = access.cache.quota.counters.evicted if access.cache.quota is not None else 0
        self._asked: set[ObjectId] = set()
        self._small: list[Want] = []
        self._queue = threading.Semaphore(jobs * _AHEAD)
        self._refusal: Exception | None = None
        self._is_over = False

    def run(self) -> None:
        batches = max(1, self._jobs // _TOGETHER)
        with (
            ThreadPoolExecutor(self._large, "preload", self._begin_thread) as pool,
            ThreadPoolExecutor(batches, "preload-small", self._begin_thread) as small,
        ):
            try:
                for want in self._wants(lambda want: self._submit(pool, want)):
                    if isinstance(self._cache, BringsAhead) and want.size is not None and want.size <= _SMALL:
                        self._collect(small, want)
                    else:
                        self._submit(pool, want)
                    if self._refusal is not None or len(self.outcome.errors) >= _ENOUGH_ERRORS:
                        break
                self._submit_batch(small)
                small.shutdown()  # waits here, where an interrupt is noticed
                pool.shutdown()
            except SwrepoError as error:  # a catalog: nothing is known of what is below it
                with self._lock:
                    self.outcome.errors.append(error)
            except BaseException:
                self._is_over = True
                pool.shutdown(wait=False, cancel_futures=True)
                small.shutdown(wait=False, cancel_futures=True)
                raise
        if self._refusal is not None:
            raise self._refusal

    def check_room(self) -> None:
        """CacheFull where some of what came had to go again to make room for the rest."""
        quota = self._cache.quota
        if quota is None or quota.counters.evicted == self._evicted:
            return
        left = {item.path for item in held(self._cache.root)}
        gone = sum(object_id.cache_path not in left for object_id in self._asked)
        if gone:
            raise CacheFull(
                f"{gone:,} of {len(self._asked):,} objects had to go again from the cache {self._cache.root}: "
                f"its limit is {quota.limit >> 20:,} MB; raise CVMFS_QUOTA_LIMIT, or name a directory to fill"
            )

    def _submit(self, pool: ThreadPoolExecutor, want: Want) -> None:
        if want.id not in self._asked:
            self._asked.add(want.id)
            self._queue.acquire()
            pool.submit(self._bring, want)

    def _collect(self, pool: ThreadPoolExecutor, want: Want) -> None:
        if want.id not in self._asked:
            self._asked.add(want.id)
            self._small.append(want)
            if len(self._small) == self._batch:
                self._submit_batch(pool)

    def _submit_batch(self, pool: ThreadPoolExecutor) -> None:
        batch, self._small = self._small, []
        self._queue.acquire()
        pool.submit(self._bring_batch, batch)

    def _bring_batch(self, batch: list[Want]) -> None:
        try:
            self._begin()
            if self._refusal is None and isinstance(self._cache, BringsAhead):
                for want in self._cache.bring_many(batch, self._arrived):
                    if self._refusal is None:
                        self._bring_one(want)
        except CancelledError:  # the rest of the batch is not asked for any more
            return
        except SwrepoError as error:
            self._refusal = error
        except Exception as error:
            self._refusal = error
            raise
        finally:
            self._queue.release()

    def _arrived(self, want: Want, _was_here: bool) -> None:
        self._note(want.size or 0)
        if self._is_over:
            raise CancelledError

    def _note(self, size: int) -> None:
        with self._lock:
            self.outcome.objects += 1
            self.outcome.size += size
        self._seen(size)

    def _bring(self, want: Want) -> None:
        try:
            self._begin()
            if self._refusal is None:
                self._bring_one(want)
        finally:
            self._queue.release()

    def _bring_one(self, want: Want) -> None:
        try:
            descriptor = self._cache.open(want)
            size = os.fstat(descriptor).st_size
            os.close(descriptor)
            if self._cache.counters.unkept > self._unkept:
                raise CacheFull(
                    f"no room in the cache {self._cache.root}; free some, or raise its limit, and run it again: "
                    "what is there stays"
                )
        except CacheFull as full:
            self._refusal = full
            return
        except SwrepoError as error:
            with self._lock:
                self.outcome.errors.append(error)
            return
        except Exception as error:
            self._refusal = error
            raise
        self._note(size)

    def _wants(self, early: Callable[[Want], object]) -> Iterator[Want]:
        """Everything that the manifest names, all catalogs and contents; `early` gets catalogs before they are met."""
        manifest, revision = self._access.manifest, self._access.revision
        if manifest is not None:
            for named in (manifest.certificate, manifest.history, manifest.metainfo):
                if named is not None:
                    yield Want(named)
        yield Want(revision.root)
        loaded: list[bytes] = []
        self._announce(revision, ROOT, early)
        for path, entry in walk(revision, enters=self._parts.leads_to):
            while loaded and not is_within(path, loaded[-1]):
                revision.tree.forget(loaded.pop())
            if (entry.is_nested_mountpoint or entry.is_bind_mountpoint) and self._parts.leads_to(path):
                self._announce(revision, path, early)
                loaded.append(path)
            if not self._parts.takes(path):
                continue
            self.outcome.entries += 1
            if entry.is_external:
                self.outcome.external += 1
            elif entry.is_regular:
                yield from wanted_objects(entry, revision.chunks(path) if entry.is_chunked else ())

    def _announce(self, revision: Revision, path: bytes, early: Callable[[Want], object]) -> None:
        """The catalogs below the one at `path`: they are all fetched while the first of them is walked."""
        if path != ROOT and (mounted := revision.tree.mounted(path)) is not None:
            early(Want(mounted.id, size=mounted.size))
        for ref in revision.tree.find(path).nested():
            if self._parts.leads_to(ref.path):
                early(Want(ref.id, size=ref.size))
