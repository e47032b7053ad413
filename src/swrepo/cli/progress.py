"""Progress of long work on standard error: a live line on a terminal, otherwise a plain line every few seconds."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from swrepo.cli.output import size_text, time_text

PLAIN_INTERVAL = 5.0
LIVE_INTERVAL = 0.1
_BAR = 24


def bar(part: float) -> str:
    """How much of something is done, from 0 to 1, as a bar and in percent."""
    done = min(1.0, part)
    return f"[{'#' * int(done * _BAR):<{_BAR}}] {done:4.0%}"


class Progress:
    """Counts items and bytes. `advance` may be called from any thread. Says nothing about work that is over at once.

    `as_events`: lines of JSON instead of sentences. `quiet`: nothing at all.
    """

    def __init__(
        self,
        verb: str,
        noun: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        as_events: bool = False,
        quiet: bool = False,
    ) -> None:
        self.total = 0
        """Bytes that there will be, where that is known: then a bar is shown."""
        self._verb = verb
        self._noun = noun
        self._clock = clock
        self._as_events = as_events
        self._quiet = quiet
        self._lock = threading.Lock()
        self._live = sys.stderr.isatty() and not as_events
        self._interval = LIVE_INTERVAL if self._live else PLAIN_INTERVAL
        self._items = 0
        self._bytes = 0
        self._expected_items = 0
        self._expected_bytes = 0
        self._is_all_expected = False
        self._began_at: float | None = None
        self._said_at = clock()
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._live and self._width:
                print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)

    def phase(self, phase: str) -> None:
        """The next part of the work begins; its name replaces the verb."""
        with self._lock:
            self._verb = str(phase)
            if self._live or self._as_events:
                self._say()

    def expect(self, files: int, size: int) -> None:
        """So much more is to be done."""
        with self._lock:
            if self._began_at is None:
                self._began_at = self._clock()
            self._expected_items += files
            self._expected_bytes += size

    def expect_no_more(self) -> None:
        """All that is to be done is known."""
        with self._lock:
            self._is_all_expected = True
            self.total = self._expected_bytes

    def advance(self, files: int = 1, size: int = 0) -> None:
        """Some more is done."""
        with self._lock:
            self._items += files
            self._bytes += size
            now = self._clock()
            if now - self._said_at >= self._interval:
                self._said_at = now
                self._say()

    @property
    def _rate(self) -> float | None:
        """Bytes in a second."""
        seconds = 0.0 if self._began_at is None else self._clock() - self._began_at
        return self._bytes / seconds if seconds > 0 and self._bytes else None

    @property
    def _seconds_left(self) -> float | None:
        """By the bytes that are to be read, once all of them are known."""
        rate = self._rate
        if rate is None or not self._is_all_expected or self._items >= self._expected_items:
            return None
        return max(0, self._expected_bytes - self._bytes) / rate

    def _say(self) -> None:
        if self._quiet:
            return
        if self._as_events:
            print(json.dumps(self._event()), file=sys.stderr, flush=True)
            return
        line = self._line()
        if self._live:
            padded = f"{line:<{self._width}}"
            self._width = len(line)
            print("\r" + padded, end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def _line(self) -> str:
        of_all = f" of {self._expected_items:,}" if self._is_all_expected else ""
        line = f"{self._verb}: {self._items:,}{of_all} {self._noun}"
        if self._bytes:
            line += f", {size_text(self._bytes)}"
        if self.total:
            line = f"{line} of {size_text(self.total)}  {bar(self._bytes / self.total)}"
        if self._rate is not None:
            line += f", {size_text(self._rate)}/s"
        if self._seconds_left is not None:
            line += f", {time_text(self._seconds_left)} left"
        return line

    def _event(self) -> dict[str, object]:
        return {
            "event": "progress",
            "phase": self._verb,
            self._noun: self._items,
            "bytes": self._bytes,
            f"expected_{self._noun}": self._expected_items if self._is_all_expected else None,
            "expected_bytes": self._expected_bytes if self._is_all_expected else None,
            "bytes_per_second": None if self._rate is None else round(self._rate),
            "seconds_left": None if self._seconds_left is None else round(self._seconds_left),
        }
