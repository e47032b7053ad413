"""OPEN and RELEASE, which reach us only in a mount with passthrough."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import Executor

from swrepo.errors import SwrepoError
from swrepo.fuse import wire
from swrepo.fuse.request import LATER, Later, Request
from swrepo.fuse.session import Session
from swrepo.mount.ahead_fetch import ReadingAhead
from swrepo.mount.deadlines import Deadlines
from swrepo.mount.openings import FileRead
from swrepo.mount.passthrough import OpenFiles, Unsupported
from swrepo.repository.content import Content
from swrepo.vfs.tree import Vfs

_CACHED = wire.OPEN_OUT.pack(0, wire.FOPEN_KEEP_CACHE | wire.FOPEN_NOFLUSH, 0)


class Opens:
    """Answers OPEN with a file of the cache that the kernel reads by itself, where a file is one object."""

    def __init__(
        self, vfs: Vfs, pool: Executor, session: Session, deadlines: Deadlines, ahead: ReadingAhead, files: OpenFiles
    ) -> None:
        self._vfs = vfs
        self._pool = pool
        self._session = session
        self._deadlines = deadlines
        self._ahead = ahead
        self._files = files
        self.seen: Callable[[FileRead], bool] = lambda _read: False

    def open(self, request: Request) -> bytes | Later:
        """Handler of OPEN."""
        node = request.node
        if self._files.is_open(node):
            return self._opened(node, None)
        with self._vfs.lock:
            count = self._vfs.opened
            content = self._vfs.content(node)
            is_new = self._vfs.opened != count
        if content.chunks or not content.size:
            return self._opened(node, None)
        descriptor = content.objects.open_if_here(content.wants()[0])
        later = LATER
        if descriptor is None:
            later = self._session.defer(request)
            self._pool.submit(self._fetch, request, content)
        else:
            later = self._session.deliver(request, self._opened(node, descriptor))
        self._ahead.is_used(node, content)
        is_listed = is_new and self.seen(FileRead(node, request.pid, content, 0, content.size, is_new))
        if (descriptor is None or self._ahead.expects(node)) and not is_listed:
            self._ahead.opened(node, content.wants()[0] if descriptor is None else None)
        return later

    def release(self, request: Request) -> bytes:
        """Handler of RELEASE."""
        self._files.release(request.node)
        return b""

    def undelivered(self, request: Request) -> None:
        """An answer to OPEN did not reach the kernel, so no RELEASE will come."""
        self._files.release(request.node)

    def _fetch(self, request: Request, content: Content) -> None:
        """Runs in the pool."""
        if not self._session.is_pending(request):
            return
        try:
            with self._deadlines.working_for(request):
                payload = self._opened(request.node, content.objects.open(content.wants()[0]))
            if not self._session.answer(request, payload):
                self.undelivered(request)
        except Exception as error:  # noqa: BLE001 - the request gets its answer; the session logs it
            self._session.answer(request, error)

    def _opened(self, node: int, descriptor: int | None) -> bytes:
        try:
            number = self._files.open(node, descriptor)
        except Unsupported as error:
            raise NoOpen("the kernel opens files by itself from now on") from error
        finally:
            if descriptor is not None:
                os.close(descriptor)
        if not number:
            return _CACHED
        return wire.OPEN_OUT.pack(0, wire.FOPEN_PASSTHROUGH | wire.FOPEN_NOFLUSH, number)


class NoOpen(SwrepoError):
    """OPEN is not for us; the kernel remembers that."""

    errno = errno.ENOSYS
