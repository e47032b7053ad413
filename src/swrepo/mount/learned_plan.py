"""What of a profile is to be fetched, and in which order: pure, told what its files are in this revision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from swrepo.format.object_id import ObjectId
from swrepo.objects.store import Want
from swrepo.repository.profiles import Resolved

_WORTH_IT = 0.5
"""Share of a pack's bytes that have to be what they were; else what is left of it is fetched by itself."""


class Plan(NamedTuple):
    """Objects that come out of packs, by the packs' numbers, and those that come by themselves; all in order of use."""

    packs: dict[int, list[Want]]
    singles: list[Want]


class Planner:
    """Of one start, told of its files in one or more portions. `room`: plain bytes that may be fetched in all."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._seen: set[ObjectId] = set()

    def plan(self, files: Sequence[Resolved]) -> Plan:
        """What to fetch now of a portion: each object once."""
        stale = _stale_packs(files)
        found = Plan({}, [])
        for one in files:
            for want in one.wants:
                size = want.size or 0
                if want.id in self._seen or size > self._room:
                    continue
                self._seen.add(want.id)
                self._room -= size
                number = one.file.pack
                if number is not None and one.is_fresh and number not in stale:
                    found.packs.setdefault(number, []).append(want)
                else:
                    found.singles.append(want)
        return found


def _stale_packs(files: Sequence[Resolved]) -> set[int]:
    fresh: dict[int, int] = {}
    total: dict[int, int] = {}
    for one in files:
        number = one.file.pack
        if number is not None:
            total[number] = total.get(number, 0) + one.file.size
            fresh[number] = fresh.get(number, 0) + (one.file.size if one.is_fresh else 0)
    return {number for number, size in total.items() if fresh[number] < _WORTH_IT * size}
