"""Reads that lack bytes: each object is fetched by one thread of the pool, however many requests wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

from swrepo.errors import SwrepoError
from swrepo.format.object_id import ObjectId
from swrepo.fuse.request import FailedBefore, Request
from swrepo.fuse.session import Session
from swrepo.mount.deadlines import Deadlines
from swrepo.mount.direct import Direct
from swrepo.mount.failures import Failures
from swrepo.objects.store import Want
from swrepo.repository.content import Content
from swrepo.system.activity import ANY, Activity, Working


class Read(NamedTuple):
    """A READ of the kernel."""

    request: Request
    content: Content
    offset: int
    size: int


class Reads:
    """Reads under way. Safe from any thread; `_lock` guards the lists, nothing is acquired under it."""

    def __init__(self, pool: Executor, deadlines: Deadlines) -> None:
        self._pool = pool
        self._deadlines = deadlines
        deadlines.on_expiry = self._note_expiry
        self._failures = Failures()
        self.direct = Direct()
        self.on_came: Callable[[ObjectId], object] = lambda _object_id: None
        """Told of objects that somebody waited for, after the answer. It must not raise."""
        self._lock = threading.Lock()
        self._waiting: dict[ObjectId, tuple[Activity, list[Read]]] = {}

    def wait(self, session: Session, read: Read, *, on_loop: bool = False) -> None:
        """Fetch what `read`, which is deferred, lacks, and answer it. `on_loop`: on the loop's thread."""
        want = read.content.wants(read.offset, read.size)[0]
        key = want.id
        if self._failures.is_recent(key):
            session.answer(read.request, FailedBefore(f"object {key} could not be had a moment ago"))
            return
        record = self._deadlines.record(read.request)
        with self._lock:
            found = self._waiting.get(key)
            if found is not None:
                fetching, others = found
                others.append(read)
                record.resume(fetching)
                return
            record.resume(ANY)
            self._waiting[key] = record, [read]
        if not (on_loop and self._begin(session, want, read, record)):
            self._submit(session, key, read, record)

    def _begin(self, session: Session, want: Want, read: Read, record: Activity) -> bool:
        """Ask for the one object of a small file without another thread; False where that cannot be done."""
        if read.content.chunks:
            return False

        def came(plain: bytes) -> None:
            session.answer(read.request, plain[read.offset : read.offset + read.size])
            with self._lock:
                _, waiting = self._waiting.pop(want.id)
            for other in waiting[1:]:
                self._retry(session, other)
            self.on_came(want.id)

        def failed() -> None:
            self._submit(session, want.id, read, record)

        return self.direct.begin(session, want, read.content.objects, came, failed)

    def _submit(self, session: Session, key: ObjectId, read: Read, record: Activity) -> None:
        try:
            self._pool.submit(self._fetch, session, key, read, record)
        except RuntimeError:  # the mount ends, and the pool takes no more work
            with self._lock:
                waiting = self._waiting.pop(key)[1]
            for one in waiting:
                session.answer(one.request, FailedBefore("the mount has ended"))

    def expect(self, wants: list[Want], activity: Activity) -> list[Want]:
        """Somebody fetches these from now on, as `activity` tells: those that nobody else is fetching already."""
        mine: list[Want] = []
        with self._lock:
            for want in wants:
                if want.id not in self._waiting:
                    self._waiting[want.id] = activity, []
                    mine.append(want)
        return mine

    def arrived(self, session: Session, wants: list[Want], error: SwrepoError | None = None) -> None:
        """Nobody fetches these any more: answer who waits for them, by fetching what they lack, or with the error."""
        with self._lock:
            waiting = [(want.id, self._waiting.pop(want.id)[1]) for want in wants]
        for key, reads in waiting:
            if error is None:
                for read in reads:
                    self._retry(session, read)
            elif reads:
                self._failures.note(key)
                session.answer(reads[0].request, error)
                for read in reads[1:]:
                    session.answer(read.request, FailedBefore(f"object {key}: {error}"))

    def _fetch(self, session: Session, key: ObjectId, first: Read, record: Activity) -> None:
        """Runs in the pool: fetch for the first, then look who else can be answered now."""
        with self._lock:
            if not any(session.is_pending(read.request) for read in self._waiting[key][1]):
                del self._waiting[key]  # those who waited were killed before there was a thread for them
                return
        outcome: bytes | Exception
        try:
            with Working(record):
                outcome = first.content.pread(first.offset, first.size)
        except Exception as error:  # noqa: BLE001 - every request gets its answer; the session logs it
            outcome = error
            self._failures.note(key)
        with self._lock:
            _, waiting = self._waiting.pop(key)
        session.answer(first.request, outcome)
        for read in waiting[1:]:
            if isinstance(outcome, Exception):
                session.answer(read.request, FailedBefore(f"object {key}: {outcome}"))
            else:
                self._retry(session, read)
        if not isinstance(outcome, Exception):
            self.on_came(key)

    def _note_expiry(self, request: Request) -> None:
        with self._lock:
            expired = [key for key, (_, reads) in self._waiting.items() if any(r.request is request for r in reads)]
        for key in expired:
            self._failures.note(key)

    def _retry(self, session: Session, read: Read) -> None:
        try:
            found = read.content.try_pread(read.offset, read.size)
        except Exception as error:  # noqa: BLE001 - as above
            session.answer(read.request, error)
            return
        if found is None:  # it lacks another object too
            self.wait(session, read)
        else:
            session.answer(read.request, found)
