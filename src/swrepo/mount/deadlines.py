"""Requests for which nothing has come for too long are answered with EIO, whatever they wait for.

The work goes on until its own time limits end it, and what comes of it then is kept; only nobody waits for it any more.
"""

from __future__ import annotations

from collections.abc import Callable

from swrepo.errors import SwrepoError, Unreachable
from swrepo.fuse.request import FailedBefore, Request
from swrepo.fuse.session import Session
from swrepo.fuse.wire import Opcode
from swrepo.system.activity import ANY, Activity, Working
from swrepo.vfs.tree import Vfs

DEADLINE = 60.0
"""Seconds without a byte after which a request fails."""

_LOOKS = 5
"""How often a deadline is looked at until it is reached."""

_PATIENCE_FOR_PATH = 0.5
"""Seconds to wait for the lock of the tree, only to say in the log which path it was."""


class Deadlines:
    """Records of the deferred requests of one session. `check` is called every `period` seconds, by one thread."""

    def __init__(self, session: Session, limit: float = DEADLINE) -> None:
        """`limit`: seconds."""
        self._session = session
        self._limit = limit
        self._records: dict[int, Activity] = {}
        self.on_expiry: Callable[[Request], object] = lambda _request: None

    @property
    def period(self) -> float:
        """Seconds between two checks, at most."""
        return min(1.0, self._limit / _LOOKS)

    def record(self, request: Request) -> Activity:
        """What is done for a deferred request. Until a thread works for it, it follows whatever the process does."""
        record = self._records.setdefault(request.unique, Activity(ANY.doing, ANY))
        record.asker = request.pid, request.uid, request.gid
        return record

    def working_for(self, request: Request) -> Working:
        """For a `with`, in the thread that does the work."""
        return Working(self.record(request))

    def check(self, now: float) -> None:
        """Fail those that are overdue at `now` on the monotonic clock, and forget those that were answered."""
        known = list(self._records)  # before it is looked who waits: a record is made for those only
        pending = self._session.pending()
        waiting = {request.unique for request in pending}
        for unique in known:
            if unique not in waiting:
                self._records.pop(unique, None)
        said: set[int] = set()
        for request in pending:
            record = self.record(request)
            if now - record.last < self._limit:
                continue
            self.on_expiry(request)
            message = f"nothing came for {self._limit:g} seconds: {record}"
            origin = record.origin
            is_news = origin is ANY or id(origin) not in said
            said.add(id(origin))
            self._session.answer(request, Unreachable(message) if is_news else FailedBefore(message))


def describe(vfs: Vfs, request: Request) -> str:
    """A request in words, with its path where that can be told."""
    name = Opcode(request.opcode).name
    path = _path(vfs, request)
    if path is None:
        return f"{name} of node {request.node}"
    return f"{name} of {path.decode('utf-8', 'backslashreplace')!r} (node {request.node})"


def _path(vfs: Vfs, request: Request) -> bytes | None:
    if not vfs.lock.acquire(timeout=_PATIENCE_FOR_PATH):
        return None
    try:
        path = vfs.path(request.node)
    except SwrepoError:
        return None
    finally:
        vfs.lock.release()
    if request.opcode == Opcode.LOOKUP:
        path = path.rstrip(b"/") + b"/" + request.body.partition(b"\0")[0]
    return path
