"""What caches count."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CacheCounters:
    """Since this process opened the cache: objects found here, fetched, that could not be, plain bytes fetched.

    `unkept`: objects among those fetched that were not kept: there was no room, or nothing may be written.
    """

    hits: int = 0
    fetched: int = 0
    failed: int = 0
    fetched_bytes: int = 0
    unkept: int = 0


class Counting:
    """Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hits = self._fetched = self._failed = self._bytes = self._unkept = 0

    def hit(self) -> None:
        """An object was here."""
        with self._lock:
            self._hits += 1

    def fetched(self, size: int, *, kept: bool) -> None:
        """An object of that many plain bytes came."""
        with self._lock:
            self._fetched += 1
            self._bytes += size
            self._unkept += not kept

    def failed(self) -> None:
        """An object did not come."""
        with self._lock:
            self._failed += 1

    @property
    def now(self) -> CacheCounters:
        with self._lock:
            return CacheCounters(self._hits, self._fetched, self._failed, self._bytes, self._unkept)
