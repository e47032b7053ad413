"""Which nested catalogs to fetch before somebody walks into them: pure policy, told which catalogs are loaded.

The name of a nested catalog stands in the one above it only, so a path through four of them costs four round trips.
Whoever touched one will soon touch some below it; where these are small, they come together, and chains of them whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from swrepo.catalog.nested import NestedRef
from swrepo.format.object_id import ObjectId
from swrepo.mount.ahead_account import UNIT, Account
from swrepo.mount.ahead_recent import Recent

_MOST = 32
"""Catalogs below one that are fetched ahead, the smallest first."""

_OF_A_CHAIN = 4
"""Catalogs below one that nobody has needed yet, up to which they are fetched, too."""

_BYTES_PER_SECOND = 20e6
_REMEMBERED = 4096


class CatalogsAhead:
    """For one thread at a time."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._seen: Recent[ObjectId] = Recent(_REMEMBERED)
        self._paid: dict[ObjectId, float] = {}
        self._fetched_for: dict[bytes, ObjectId] = {}

    def loaded(self, mountpoint: bytes, below: Iterable[NestedRef], patience: float) -> list[NestedRef]:
        """The catalog of `mountpoint` is loaded, and these are mounted below it: those to fetch now.

        `patience`: seconds that a small object takes.
        """
        fetched = self._fetched_for.pop(mountpoint, None)
        paid = None if fetched is None else self._paid.pop(fetched, None)
        if paid is not None:
            self._account.earn(paid, paid)
        return self._chosen(below, patience)

    def came(self, below: Sequence[NestedRef], patience: float) -> list[NestedRef]:
        """A catalog that was fetched ahead is here, with these below it: those to fetch now, if it is one of a chain.

        So a path through many of them costs few round trips, and a tree of them is not fetched whole.
        """
        return self._chosen(below, patience) if len(below) <= _OF_A_CHAIN else []

    def _chosen(self, below: Iterable[NestedRef], patience: float) -> list[NestedRef]:
        room = patience * _BYTES_PER_SECOND
        chosen: list[NestedRef] = []
        for ref in sorted((ref for ref in below if ref.size), key=lambda ref: ref.size or 0)[:_MOST]:
            size = ref.size or 0
            cost = 0.25 + size / UNIT
            room -= size
            if room < 0 or not self._account.can_pay(cost):
                break
            if self._seen.add(ref.id):
                self._account.pay(cost)
                self._paid[ref.id] = cost
                self._fetched_for[ref.path] = ref.id
                chosen.append(ref)
        self._forget_oldest()
        return chosen

    def was_fetched_for(self, mountpoint: bytes) -> ObjectId | None:
        """The catalog that was fetched ahead for that place."""
        return self._fetched_for.get(mountpoint)

    def was_here(self, object_id: ObjectId) -> None:
        """It cost nothing."""
        self._account.refund(self._paid.pop(object_id, 0.0))

    def _forget_oldest(self) -> None:
        while len(self._fetched_for) > _REMEMBERED:
            oldest = next(iter(self._fetched_for))
            self._paid.pop(self._fetched_for.pop(oldest), None)
