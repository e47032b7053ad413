"""What we say to the kernel over one FUSE device: answers, errors and what it is to forget. From any thread."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable

from swrepo.fuse import wire
from swrepo.fuse.request import LATER, Later, Request, name_of
from swrepo.fuse.wire import OUT_HEADER

log = logging.getLogger(__name__)


class Connection:
    """The writing side of `device`. `undelivered` is told of each answer that the kernel did not take."""

    def __init__(self, device: int, undelivered: Callable[[Request, bytes], None]) -> None:
        self.device = device
        self.errors: dict[int, int] = {}
        """How many requests were answered with each errno."""
        self.last_error = 0.0
        """When one was last answered with EIO, in Unix seconds."""
        self._undelivered = undelivered
        self._lock = threading.Lock()

    def deliver(self, request: Request, payload: bytes) -> Later:
        """Answer at once, from within a handler that holds a lock meanwhile; it returns what this returns."""
        self._deliver(request, payload)
        return LATER

    def reply_error(self, unique: int, number: int) -> None:
        """Answer with an errno. From any thread."""
        try:
            os.write(self.device, OUT_HEADER.pack(OUT_HEADER.size, -number, unique))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                log.exception("the kernel refused the reply to request %d", unique)

    def forget_entry(self, parent: int, name: bytes) -> bool:
        """Make the kernel look `name` up again; False when it did not know it.

        Never on the loop's thread: the kernel waits for requests in that directory to be answered first.
        """
        body = wire.INVAL_ENTRY_OUT.pack(parent, len(name), 0) + name + b"\0"
        return self._notify(wire.Notification.INVAL_ENTRY, body)

    def forget_inode(self, node: int, *, data: bool = True) -> bool:
        """Make the kernel ask for attributes again and, with `data`, drop pages and listings. Never on the loop."""
        body = wire.INVAL_INODE_OUT.pack(node, 0 if data else -1, 0)
        return self._notify(wire.Notification.INVAL_INODE, body)

    def _notify(self, code: wire.Notification, body: bytes) -> bool:
        try:
            os.write(self.device, OUT_HEADER.pack(OUT_HEADER.size + len(body), code, 0) + body)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.ENOTEMPTY, errno.EBUSY):
                return False
            raise
        return True

    def _deliver(self, request: Request, payload: bytes) -> bool:
        header = OUT_HEADER.pack(OUT_HEADER.size + len(payload), 0, request.unique)
        try:
            os.writev(self.device, (header, payload))
        except OSError as error:
            self._undelivered(request, payload)
            if error.errno in (errno.ENOENT, errno.ENODEV):  # interrupted, or unmounted meanwhile
                return False
            log.exception("the kernel refused the reply to %s of node %d", name_of(request.opcode), request.node)
            self.reply_error(request.unique, errno.EIO)
            return False
        return True

    def _count_error(self, number: int) -> None:
        with self._lock:
            self.errors[number] = self.errors.get(number, 0) + 1
            if number == errno.EIO:
                self.last_error = time.time()
