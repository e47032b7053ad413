"""Reads that lack bytes: each object is fetched by one thread of the pool, however many requests wait for it."""

from __future__ import annotations

import threading
from concurrent.futures import Executor
from typing import NamedTuple

from swrepo.format.object_id import ObjectId
from swrepo.fuse.session import Request, Session
from swrepo.repository.content import Content


class Read(NamedTuple):
    """A READ of the kernel."""

    request: Request
    content: Content
    offset: int
    size: int


class Reads:
    """Reads under way. Safe from any thread; `_lock` guards the lists, nothing is acquired under it."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._waiting: dict[ObjectId, list[Read]] = {}

    def wait(self, session: Session, read: Read) -> None:
        """Fetch what `read`, which is deferred, lacks, and answer it."""
        key = read.content.wants(read.offset, read.size)[0].id
        with self._lock:
            others = self._waiting.get(key)
            if others is not None:
                others.append(read)
                return
            self._waiting[key] = [read]
        self._pool.submit(self._fetch, session, key, read)

    def _fetch(self, session: Session, key: ObjectId, first: Read) -> None:
        """Runs in the pool: fetch for the first, then look who else can be answered now."""
        outcome: bytes | Exception
        try:
            outcome = first.content.pread(first.offset, first.size)
        except Exception as error:  # noqa: BLE001 - every request gets its answer; the session logs it
            outcome = error
        with self._lock:
            waiting = self._waiting.pop(key)
        session.answer(first.request, outcome)
        for read in waiting[1:]:
            if isinstance(outcome, Exception):
                session.answer(read.request, outcome)
            else:
                self._retry(session, read)

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
