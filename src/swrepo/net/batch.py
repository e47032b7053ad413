"""A few GETs at a time in the thread that wants them: nobody has to be woken for a small answer.

Handing each answer of a network thread to another thread costs more than fetching it; see docs/adr/0008.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pycurl

from swrepo.net.easy import Easy, EasyOptions, fault_of
from swrepo.net.faults import Fault, TransferFailed
from swrepo.net.transfer import Request, Transfer

_LONGEST_WAIT = 1.0
"""Seconds after which libcurl is asked whether one of its time-outs has passed."""


class Batch:
    """Connections of one thread, which are kept from one batch to the next."""

    def __init__(self, options: EasyOptions, connections: int) -> None:
        """At most `connections` GETs at a time."""
        self._options = options
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        self._connections = connections
        self._idle: list[Easy] = []

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Transfer]]:
        """Each transfer with the index of its request, as it ends: `Transfer.take` gives its bytes, or raises.

        Who does not take all of them leaves the rest undone.
        """
        waiting = list(enumerate(requests))
        waiting.reverse()
        running: dict[Easy, int] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._connections:
                    index, request = waiting.pop()
                    running[self._start(request)] = index
                self._multi.perform()
                ended = self._ended() + self._too_long(running)
                for easy, transfer in ended:
                    yield running.pop(easy), transfer
                if not ended and running:
                    self._multi.select(_LONGEST_WAIT)
        finally:
            for easy in running:
                if easy.transfer is not None:  # else it has ended, and nobody took it
                    self._finish(easy, None)

    def _start(self, request: Request) -> Easy:
        easy = self._idle.pop() if self._idle else Easy(self._options, [])
        easy.prepare(Transfer(request, lambda _transfer: None))
        self._multi.add_handle(easy.curl)
        return easy

    def _ended(self) -> list[tuple[Easy, Transfer]]:
        found: list[tuple[Easy, Transfer]] = []
        queued = 1
        while queued:
            queued, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                curl.easy.deliver_head()
                found.append((curl.easy, self._finish(curl.easy, None)))
            for curl, code, text in failed:
                found.append((curl.easy, self._finish(curl.easy, fault_of(curl.easy, code, text))))
        return found

    def _too_long(self, running: dict[Easy, int]) -> list[tuple[Easy, Transfer]]:
        """Answers that are longer than what is kept of one at a time are not for a batch."""
        found = [easy for easy in running if easy.transfer is not None and easy.transfer.is_paused]
        error = TransferFailed("too long an answer for a batch", Fault.BROKEN)
        return [(easy, self._finish(easy, error)) for easy in found]

    def _finish(self, easy: Easy, error: TransferFailed | None) -> Transfer:
        transfer = easy.transfer
        assert transfer is not None  # noqa: S101 - it is running
        transfer.finish(error)
        self._multi.remove_handle(easy.curl)
        easy.release()
        self._idle.append(easy)
        return transfer
