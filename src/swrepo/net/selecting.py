"""Readiness by the best call that the system has (kqueue, poll, select), by way of `selectors`."""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress

import pycurl

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_WANTED = {pycurl.POLL_IN: _READ, pycurl.POLL_OUT: _WRITE, pycurl.POLL_INOUT: _READ | _WRITE}
_HAPPENED = {
    _READ: pycurl.CSELECT_IN,
    _WRITE: pycurl.CSELECT_OUT,
    _READ | _WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}
_RINGS_AT_ONCE = 4096


class SelectorReadiness:
    """Readiness on any system."""

    def __init__(self) -> None:
        # A pair of sockets and not a pipe: Windows can wait for nothing else.
        self._bell, self._rope = socket.socketpair()
        self._bell.settimeout(0)
        self._rope.settimeout(0)
        self._bell_descriptor = self._bell.fileno()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell_descriptor, _READ)

    def ring(self) -> None:
        """See Readiness."""
        with suppress(BlockingIOError):  # full of rings that nobody has heard yet: one more makes no difference
            self._rope.send(b"\0")

    def watch(self, descriptor: int, wish: int) -> None:
        """See Readiness."""
        # Never `modify`: a number may have been closed and opened again without a word, and be new to the system.
        with suppress(KeyError):
            self._selector.unregister(descriptor)
        if wish != pycurl.POLL_REMOVE:
            self._selector.register(descriptor, _WANTED[wish])

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """See Readiness."""
        ready = []
        for key, events in self._selector.select(timeout):
            if key.fd == self._bell_descriptor:
                with suppress(BlockingIOError):
                    self._bell.recv(_RINGS_AT_ONCE)
            else:
                # An error shows as readiness: libcurl finds it when it reads or writes.
                ready.append((key.fd, _HAPPENED[events]))
        return ready

    def close(self) -> None:
        """See Readiness."""
        self._selector.close()
        self._bell.close()
        self._rope.close()
