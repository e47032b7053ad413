"""For how long nobody has waited: what fills the cache in the background does so in quiet moments only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

ENOUGH = 0.25
"""Seconds of quiet after which a fill may begin: a program that starts computes for less between two files."""


class Quiet:
    """Safe from any thread; `_lock` guards what was seen, nothing is acquired under it.

    `is_waiting`: whether somebody waits now; `answered`: how many have waited so far.
    """

    def __init__(
        self,
        is_waiting: Callable[[], bool],
        answered: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_waiting = is_waiting
        self._answered = answered
        self._clock = clock
        self._lock = threading.Lock()
        self._seen = 0
        self._since = float("-inf")

    def seconds(self) -> float:
        """Since somebody waited last, as far as those who asked before could see; 0 while somebody does."""
        waiting, answered, now = self._is_waiting(), self._answered(), self._clock()
        with self._lock:
            if waiting or answered != self._seen:
                self._seen = answered
                self._since = now
            return now - self._since

    @property
    def is_enough(self) -> bool:
        """Whether a fill may begin."""
        return self.seconds() >= ENOUGH
