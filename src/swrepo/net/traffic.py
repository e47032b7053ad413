"""What came from the servers of a repository and what failed, added up; and how far away the servers seem."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

_RECENT, _ENOUGH = 16, 3
_SMALL = 64 << 10
"""Answers of which the distance is the shortest: so many at most, and at least; bytes of a small one."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Tries that were answered with 200, the bytes of their bodies, and the seconds that they took, added up.

    `failed`: tries that failed; after some of them another server, or another proxy, was used from then on.
    """

    responses: int = 0
    received_bytes: int = 0
    seconds: float = 0.0
    failed: int = 0
    other_server: int = 0
    other_proxy: int = 0


class TrafficCount:
    """Safe from any thread; `_lock` guards the sums."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._responses = self._received = 0
        self._seconds = 0.0
        self._failed = self._other_server = self._other_proxy = 0
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def came(self, responses: int, size: int, seconds: float) -> None:
        """So many answers, with so many bytes together, in that time."""
        if responses == 1 and size <= _SMALL:
            self._recent.append(seconds)
        with self._lock:
            self._responses += responses
            self._received += size
            self._seconds += seconds

    def failed(self, *, other_server: bool = False, other_proxy: bool = False) -> None:
        """One try failed, and what was used instead from then on."""
        with self._lock:
            self._failed += 1
            self._other_server += other_server
            self._other_proxy += other_proxy

    @property
    def total(self) -> Traffic:
        with self._lock:
            return Traffic(
                self._responses, self._received, self._seconds, self._failed, self._other_server, self._other_proxy
            )

    @property
    def distance(self) -> float:
        """Seconds that a small object takes at least, of late; 0 where that is not known yet."""
        recent = tuple(self._recent)
        return min(recent) if len(recent) >= _ENOUGH else 0.0
