"""Progress of long work on standard error: a live line on a terminal, otherwise a plain line every few seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from swrepo.cli.output import size_text

PLAIN_INTERVAL = 5.0
LIVE_INTERVAL = 0.1
_BAR = 24


class Progress:
    """Counts items and bytes. `advance` may be called from any thread. Says nothing about work that is over at once."""

    def __init__(self, verb: str, noun: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = 0
        """Bytes that there will be, where that is known: then a bar is shown."""
        self._verb = verb
        self._noun = noun
        self._clock = clock
        self._lock = threading.Lock()
        self._live = sys.stderr.isatty()
        self._interval = LIVE_INTERVAL if self._live else PLAIN_INTERVAL
        self._items = 0
        self._bytes = 0
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
            if self._live:
                self._say()

    def advance(self, files: int = 1, size: int = 0) -> None:
        """Some more is done."""
        with self._lock:
            self._items += files
            self._bytes += size
            now = self._clock()
            if now - self._said_at >= self._interval:
                self._said_at = now
                self._say()

    def _say(self) -> None:
        line = f"{self._verb}: {self._items:,} {self._noun}"
        if self._bytes:
            line += f", {size_text(self._bytes)}"
        if self.total:
            part = min(1.0, self._bytes / self.total)
            bar = "#" * int(part * _BAR)
            line = f"{line} of {size_text(self.total)}  [{bar:<{_BAR}}] {part:4.0%}"
        if self._live:
            padded = f"{line:<{self._width}}"
            self._width = len(line)
            print("\r" + padded, end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)
