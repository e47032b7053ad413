"""What to fetch before it is asked for: pure policy, told which files are opened.

Programs that read a tree (`tar`, `cp -r`, `grep -r`, `cat *`) open its files in the order of the listings. Each miss is
therefore taken for the start of a walk, and the files that such a walk opens next are noted. When one of them is opened
indeed, the walk is believed, and files are fetched ahead of it: a few at first, twice as many each time.

What was fetched in vain is bounded by an account (`mount.ahead_account`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from swrepo.mount.ahead_account import Account, cost
from swrepo.objects.store import BringsAhead, Want

WINDOW = 64
"""Files that are fetched ahead of one walk at most, where they are small; see `Nearby.cost`."""

_FIRST_WINDOW = 4
_NOTED = 3
"""Files that are expected next, without being fetched, of a walk that is not believed yet."""

_WALKS = 8
"""Walks that are followed at a time."""

_IN_VAIN, _CLOSE = 16, 16
"""Walks begun since one was believed, from which on only a file begins one that is so close behind another that was
missing: who reads here and there does not pay for looking, and who begins to walk is noticed one file later."""

FIRST_CREDIT = 16.0
MOST_CREDIT = 2.5 * WINDOW
_MOST_UNUSED = 1.25 * WINDOW
"""What may be fetched ahead of one walk and not opened yet: about 4 MiB."""

LARGEST = 1 << 20
"""Bytes of the largest file that is fetched ahead: of larger ones the transfer takes the time, and not the asking."""


class Nearby(NamedTuple):
    """A file that a walk comes to: its node number, its object, and what fetches that."""

    number: int
    want: Want
    objects: BringsAhead

    @property
    def cost(self) -> float:
        """What fetching it takes from the account: one for asking, and one for each 64 KiB."""
        return cost(self.want.size or 0)


class Walk(Protocol):
    """The files of a tree in the order in which programs open them, from one of them on."""

    def take(self, count: int) -> list[Nearby]:
        """The next `count` files, or fewer where it ends, or cannot be told yet how it goes on."""
        ...


@dataclass(slots=True)
class AheadCounters:
    """Files that were fetched ahead, and those among them that were opened then."""

    fetched: int = 0
    used: int = 0


class Ahead:
    """Follows walks. For one thread at a time.

    `walk_from` gives the walk behind a file, None where there is none.
    """

    def __init__(self, walk_from: Callable[[int], Walk | None], account: Account) -> None:
        self.counters = AheadCounters()
        self._walk_from = walk_from
        self._account = account
        self._walks: OrderedDict[_Followed, None] = OrderedDict()
        self._expected: dict[int, _Expected] = {}
        self._missed: deque[int] = deque(maxlen=_WALKS)
        self._in_vain = 0

    def expects(self, number: int) -> bool:
        """Whether it matters that this file was opened although it is here."""
        return number in self._expected

    def opened(self, number: int) -> list[Nearby]:
        """A file was opened that was expected, or is not here: what to fetch now, in this order."""
        found = self._expected.get(number) or self._look_again(number)
        if found is None:
            self._begin(number)
            return []
        walk = found.walk
        self._in_vain = 0
        self.counters.used += found.paid > 0
        self._account.earn(found.paid, found.file.cost)
        self._forget(found)
        walk.position = max(walk.position, found.place)
        self._walks.move_to_end(walk)
        return self._advance(walk)

    def was_here(self, number: int) -> None:
        """What was to be fetched ahead was here already: that cost nothing."""
        found = self._expected.get(number)
        if found is not None and found.paid:
            self.counters.fetched -= 1
            self._account.refund(found.paid)
            found.walk.unused -= found.paid
            found.paid = 0.0

    def stop(self) -> None:
        """Follow no walk any more: fetching fails, or there is another revision."""
        self._walks.clear()
        self._expected.clear()

    def _begin(self, number: int) -> None:
        is_close = any(0 < number - before <= _CLOSE for before in self._missed)
        self._missed.append(number)
        walk = self._walk_from(number) if is_close or self._in_vain < _IN_VAIN else None
        if walk is None:
            return
        self._in_vain += 1
        followed = _Followed(walk)
        self._walks[followed] = None
        self._note(followed, _NOTED)
        if len(self._walks) > _WALKS:
            oldest, _ = self._walks.popitem(last=False)
            for place in list(oldest.expected):
                self._forget(oldest.expected[place])

    def _look_again(self, number: int) -> _Expected | None:
        """Whether a walk that could not be told how it goes on goes on here."""
        for walk in self._walks:
            if walk.position == walk.noted:
                self._note(walk, _NOTED)
        return self._expected.get(number)

    def _advance(self, walk: _Followed) -> list[Nearby]:
        """Fetch ahead of a walk that is believed, once half of what was fetched is used."""
        if walk.reached - walk.position > walk.window // 2:
            return []
        for place in [place for place in walk.expected if place < walk.position - WINDOW]:
            self._forget(walk.expected[place])  # the walk has passed it by
        walk.window = min(WINDOW, 2 * walk.window)
        self._note(walk, walk.window - (walk.noted - walk.position))
        chosen: list[Nearby] = []
        for place in range(max(walk.position, walk.reached) + 1, walk.noted + 1):
            found = walk.expected.get(place)
            if found is None:
                continue
            price = found.file.cost
            if not self._account.can_pay(price) or walk.unused + price > _MOST_UNUSED:
                break
            found.paid = price
            self._account.pay(price)
            walk.unused += price
            walk.reached = place
            chosen.append(found.file)
        self.counters.fetched += len(chosen)
        return chosen

    def _note(self, walk: _Followed, count: int) -> None:
        for file in walk.walk.take(count) if count > 0 else ():
            if file.number in self._expected:
                continue
            walk.noted += 1
            found = _Expected(walk, walk.noted, file)
            walk.expected[walk.noted] = self._expected[file.number] = found

    def _forget(self, found: _Expected) -> None:
        del self._expected[found.file.number], found.walk.expected[found.place]
        found.walk.unused -= found.paid


class _Followed:
    """A walk of which `noted` files are known; it has come to the one at `position`, fetching to that at `reached`.

    `unused`: what was paid for those that were fetched and not opened yet.
    """

    __slots__ = ("expected", "noted", "position", "reached", "unused", "walk", "window")

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.expected: dict[int, _Expected] = {}
        self.noted = self.position = self.reached = 0
        self.window = _FIRST_WINDOW // 2
        self.unused = 0.0


class _Expected:
    """A file at a place of a walk, and what was paid for fetching it ahead (0: it was not)."""

    __slots__ = ("file", "paid", "place", "walk")

    def __init__(self, walk: _Followed, place: int, file: Nearby) -> None:
        self.walk = walk
        self.place = place
        self.file = file
        self.paid = 0.0
