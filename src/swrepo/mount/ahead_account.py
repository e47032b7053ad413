"""What may be fetched in vain: pure bookkeeping, shared by all who guess from what programs open.

Fetching ahead costs; what is then opened gives that back and three tenths more, and what somebody had to wait for
earns three tenths, too. So at most three tenths of what was wanted, and what the account held at first, is fetched too
much, whatever programs do.
"""

from __future__ import annotations

from collections import OrderedDict

UNIT = 64 << 10
REWARD = 0.3
_SUPPOSED, _RIGHT = 160.0, 0.8
_LEAST_DOUBT = 0.25


def cost(size: int) -> float:
    """What fetching an object of so many plain bytes takes: one for asking, and one for each 64 KiB."""
    return 1 + size / UNIT


class Account:
    """For one thread at a time. `first`: what it holds at first; `most`: what it ever holds."""

    def __init__(self, first: float, most: float) -> None:
        self.credit = first
        self._most = most

    def can_pay(self, price: float) -> bool:
        return price <= self.credit

    def pay(self, price: float) -> None:
        self.credit -= price

    def refund(self, price: float) -> None:
        """It was not fetched after all."""
        self.credit = min(self._most, self.credit + price)

    def earn(self, paid: float, worth: float) -> None:
        """Something that costs `worth` was wanted, for which `paid` had been paid (0: it was not fetched ahead)."""
        self.refund(paid + REWARD * worth)

    def widen(self, first: float, most: float) -> None:
        """From now on it may hold more, and holds that much more now."""
        self._most = most
        self.refund(first)


class Trust:
    """How much of an account each sort of guesses may take: `first`, and `times` what proved to be right.

    Of a sort that is right less than once in `times`, it ends before the account does. For one thread at a time;
    the last `most` sorts are remembered.
    """

    def __init__(self, first: float, times: float, most: int = 4096) -> None:
        self._first = first
        self._times = times
        self._most = most
        self._left: OrderedDict[bytes, float] = OrderedDict()

    def can_pay(self, sort: bytes, price: float) -> bool:
        return price <= self._left.get(sort, self._first)

    def pay(self, sort: bytes, price: float) -> None:
        self._add(sort, -price)

    def refund(self, sort: bytes, price: float) -> None:
        """It was not fetched after all."""
        self._add(sort, price)

    def earn(self, sort: bytes, paid: float) -> None:
        """What had been paid for was wanted."""
        self._add(sort, self._times * paid)

    def _add(self, sort: bytes, price: float) -> None:
        self._left[sort] = self._left.get(sort, self._first) + price
        self._left.move_to_end(sort)
        if len(self._left) > self._most:
            self._left.popitem(last=False)


class Odds:
    """How often a sort of guesses was right, by what they are worth: what pays for one is what it will likely waste.

    It begins as if `_SUPPOSED` had been guessed, four fifths of them right, as measured. For one thread at a time.
    """

    __slots__ = ("guessed", "right")

    def __init__(self) -> None:
        self.guessed = self.right = 0.0

    @property
    def doubt(self) -> float:
        """The part of a guess that is paid: between a quarter and all."""
        share = (_RIGHT * _SUPPOSED + self.right) / (_SUPPOSED + max(0.0, self.guessed))
        return min(1.0, max(_LEAST_DOUBT, 1.0 - share))
