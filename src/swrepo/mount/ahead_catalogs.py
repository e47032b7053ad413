"""Which nested catalogs to fetch before somebody walks into them: pure policy, told which catalogs are loaded.

The name of a nested catalog stands in the one above it only, so a path through four of them costs four round trips.
Whoever touched one will soon touch some below it; where these are small, they come together.
"""

from __future__ import annotations

from collections.abc import Iterable

from swrepo.catalog.reader import NestedRef
from swrepo.format.object_id import ObjectId
from swrepo.mount.ahead_account import UNIT, Account
from swrepo.objects.store import Want

_MOST = 32
"""Catalogs below one that are fetched ahead, the smallest first."""

_BYTES_PER_SECOND = 20e6
_REMEMBERED = 4096


class CatalogsAhead:
    """For one thread at a time."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._seen: dict[ObjectId, None] = {}
        self._paid: dict[bytes, tuple[ObjectId, float]] = {}

    def loaded(self, mountpoint: bytes, below: Iterable[NestedRef], patience: float) -> list[Want]:
        """The catalog of `mountpoint` is loaded, and these are mounted below it: those to fetch now.

        `patience`: seconds that a small object takes.
        """
        room = patience * _BYTES_PER_SECOND
        paid = self._paid.pop(mountpoint, None)
        if paid is not None:
            self._account.earn(paid[1], paid[1])
        chosen: list[Want] = []
        for ref in sorted((ref for ref in below if ref.size), key=lambda ref: ref.size or 0)[:_MOST]:
            size = ref.size or 0
            cost = 0.25 + size / UNIT
            room -= size
            if room < 0 or not self._account.can_pay(cost):
                break
            if ref.id not in self._seen:
                self._note(ref, cost)
                chosen.append(Want(ref.id, size=size))
        return chosen

    def was_fetched_for(self, mountpoint: bytes) -> ObjectId | None:
        """The catalog that was fetched ahead for that place."""
        found = self._paid.get(mountpoint)
        return None if found is None else found[0]

    def was_here(self, object_id: ObjectId) -> None:
        """It cost nothing."""
        for mountpoint, (found, cost) in list(self._paid.items()):
            if found == object_id:
                self._account.refund(cost)
                del self._paid[mountpoint]

    def _note(self, ref: NestedRef, cost: float) -> None:
        self._account.pay(cost)
        self._seen[ref.id] = None
        self._paid[ref.path] = ref.id, cost
        while len(self._seen) > _REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
