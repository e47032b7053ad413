"""An object that was asked for over a line and is on its way: who asked looks when something has come."""

from __future__ import annotations

import time
from collections.abc import Callable

from swrepo.errors import CorruptObject
from swrepo.net.answers import Unusual
from swrepo.net.faults import Fault, TransferFailed
from swrepo.net.lines import Line, Lines
from swrepo.net.traffic import TrafficCount
from swrepo.objects import codec
from swrepo.objects.store import Want

_OK = 200


class ComingObject:
    """See objects.store.Coming. `patience`: seconds until it is overdue.

    A connection that has ended, or is used in a way that is not read here, is no failed try: libcurl asks at once.
    """

    __slots__ = ("_begun", "_clock", "_is_late", "_line", "_lines", "_patience", "_traffic", "_url", "_want")

    def __init__(
        self,
        want: Want,
        url: str,
        line: Line,
        lines: Lines,
        patience: float,
        traffic: TrafficCount,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._want, self._url = want, url
        self._line, self._lines = line, lines
        self._patience = patience
        self._traffic = traffic
        self._clock = clock
        self._begun = clock()
        self._is_late = False

    def fileno(self) -> int:
        """See Coming."""
        return self._line.fileno()

    def advance(self) -> bytes | None:
        """See Coming. TransferFailed, CorruptObject."""
        want = self._want
        try:
            answer = self._line.receive(codec.stored_bound(want))
        except (OSError, Unusual) as error:
            self._lines.drop(self._line, pause=self._is_late or isinstance(error, Unusual))
            if self._is_late:
                self._traffic.failed()
            raise TransferFailed(f"{self._url}: {error}", Fault.BROKEN, timed_out=self._is_late) from error
        if answer is None:
            return None
        if answer.is_last:
            self._lines.drop(self._line)
        else:
            self._lines.give_back(self._line)
        try:
            if answer.status != _OK:
                raise TransferFailed(f"{self._url}: HTTP status {answer.status}", Fault.BROKEN)
            self._traffic.came(1, len(answer.body), self._clock() - self._begun)
            return codec.decode_whole(answer.body, want)
        except (TransferFailed, CorruptObject):
            self._traffic.failed()
            raise

    def check(self, now: float) -> None:
        """See Coming."""
        if now - self._begun > self._patience:
            self._is_late = True
            self._line.interrupt()

    def cancel(self) -> None:
        """See Coming."""
        self._lines.drop(self._line)
