"""What of a profile is to be fetched, and in which order: pure, told what its files are in this revision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from swrepo.format.object_id import ObjectId
from swrepo.mount.learned_ledger import Origin
from swrepo.objects.store import Want
from swrepo.repository.profiles import Resolved

SMALL = 64 << 10
"""Plain bytes of an object that travels with others rather than alone."""

BATCH = 16
"""Small objects that one thread asks for at a time."""

_WORTH_IT = 0.5
"""Share of a pack's objects that have to be what they were; else the others are fetched one by one."""


class Part(NamedTuple):
    """Objects that are fetched together: out of the pack of that number, or by themselves."""

    wants: tuple[Want, ...]
    pack: int | None
    origin: Origin


def parts(files: Iterable[Resolved], origin: Origin, room: int) -> list[Part]:
    """In the order of use, each object once, not more than `room` plain bytes. A pack comes with the first it has."""
    found = list(files)
    stale = _stale_packs(found)
    order: dict[tuple[str, int], list[Want]] = {}
    seen: set[ObjectId] = set()
    batch = in_batch = 0
    for one in found:
        for want in one.wants:
            size = want.size or 0
            if want.id in seen or size > room:
                continue
            seen.add(want.id)
            room -= size
            pack = one.file.pack
            if pack is not None and one.is_fresh and pack not in stale:
                order.setdefault(("pack", pack), []).append(want)
            elif size > SMALL:
                order["one", len(order)] = [want]
            else:
                if in_batch >= BATCH:
                    batch, in_batch = batch + 1, 0
                in_batch += 1
                order.setdefault(("batch", batch), []).append(want)
    return [
        Part(tuple(wants), number if kind == "pack" else None, Origin.PACK if kind == "pack" else origin)
        for (kind, number), wants in order.items()
    ]


def _stale_packs(files: Iterable[Resolved]) -> set[int]:
    fresh: dict[int, int] = {}
    total: dict[int, int] = {}
    for one in files:
        pack = one.file.pack
        if pack is not None:
            size = one.file.size
            total[pack] = total.get(pack, 0) + size
            fresh[pack] = fresh.get(pack, 0) + (size if one.is_fresh else 0)
    return {pack for pack, size in total.items() if fresh[pack] < _WORTH_IT * size}
