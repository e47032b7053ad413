"""What was fetched ahead of need, by whom it was asked for, and what of it somebody then opened."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import StrEnum

from swrepo.format.object_id import ObjectId
from swrepo.objects.store import Want

_REMEMBERED = 65536
"""Objects whose use is waited for; the oldest of more count as wasted for good."""


class Origin(StrEnum):
    """Who guessed that an object will be wanted."""

    WALK = "walk"
    NAMED = "named"
    NEIGHBOURS = "neighbours"
    CHUNKS = "chunks"
    CATALOGS = "catalogs"
    PROFILE = "profile"
    PACK = "pack"
    BUNDLE = "bundle"
    FILL = "fill"


@dataclass(frozen=True, slots=True)
class AheadCounters:
    """Objects that were fetched ahead and those that were used then, with their plain bytes."""

    fetched: int = 0
    used: int = 0
    fetched_bytes: int = 0
    used_bytes: int = 0

    @property
    def wasted(self) -> int:
        """Objects that nobody has used so far."""
        return self.fetched - self.used

    @property
    def wasted_bytes(self) -> int:
        return self.fetched_bytes - self.used_bytes

    def items(self) -> list[tuple[str, int]]:
        """All of them by name, those that follow from others too."""
        return [(name, getattr(self, name)) for name in _NAMES]


_NAMES = ("fetched", "used", "wasted", "fetched_bytes", "used_bytes", "wasted_bytes")


class Ledger:
    """Safe from any thread; `_lock` guards all of it, nothing is acquired under it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expected: OrderedDict[ObjectId, _Expected] = OrderedDict()
        self._counters: dict[Origin, AheadCounters] = {}

    def ask(self, wants: list[Want], origin: Origin) -> list[Want]:
        """These are to be fetched for `origin`: those among them that nobody has asked for before."""
        new: list[Want] = []
        with self._lock:
            for want in wants:
                if want.id not in self._expected:
                    self._expected[want.id] = _Expected(origin, want.size or 0)
                    new.append(want)
            while len(self._expected) > _REMEMBERED:
                self._expected.popitem(last=False)
        return new

    def arrived(self, object_id: ObjectId) -> None:
        """It was fetched."""
        with self._lock:
            found = self._expected.get(object_id)
            if found is not None and not found.is_here:
                found.is_here = True
                self._count(found, fetched=1)
                if found.is_used:
                    del self._expected[object_id]
                    self._count(found, used=1)

    def drop(self, object_id: ObjectId) -> None:
        """It is not fetched: it was here, somebody else fetched it, or it cannot be had."""
        with self._lock:
            found = self._expected.get(object_id)
            if found is not None and not found.is_here:
                del self._expected[object_id]

    @property
    def is_waiting(self) -> bool:
        """Whether the use of anything is waited for."""
        return bool(self._expected)

    def opened(self, object_id: ObjectId) -> Origin | None:
        """Somebody wants it; whose guess that was, told once."""
        if object_id not in self._expected:  # what most are, and without the lock
            return None
        with self._lock:
            found = self._expected.get(object_id)
            if found is None or found.is_used:
                return None
            found.is_used = True
            if found.is_here:
                del self._expected[object_id]
                self._count(found, used=1)
            return found.origin

    def counters(self) -> dict[Origin, AheadCounters]:
        """By origin, those that ever fetched something."""
        with self._lock:
            return dict(self._counters)

    @property
    def total(self) -> AheadCounters:
        """Of all origins."""
        all_of_them = self.counters().values()
        return AheadCounters(
            sum(one.fetched for one in all_of_them),
            sum(one.used for one in all_of_them),
            sum(one.fetched_bytes for one in all_of_them),
            sum(one.used_bytes for one in all_of_them),
        )

    def _count(self, found: _Expected, fetched: int = 0, used: int = 0) -> None:
        sums = self._counters.get(found.origin, AheadCounters())
        self._counters[found.origin] = replace(
            sums,
            fetched=sums.fetched + fetched,
            used=sums.used + used,
            fetched_bytes=sums.fetched_bytes + fetched * found.size,
            used_bytes=sums.used_bytes + used * found.size,
        )


class _Expected:
    """An object that was asked for: whether it came, and whether somebody opened it (perhaps before that)."""

    __slots__ = ("is_here", "is_used", "origin", "size")

    def __init__(self, origin: Origin, size: int) -> None:
        self.origin = origin
        self.size = size
        self.is_here = False
        self.is_used = False
