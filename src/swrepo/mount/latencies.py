"""How long answers took for which something had to be fetched or opened: a histogram for each kind of request.

What is answered at once is not measured: it takes microseconds, and so would the measuring.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper ends in seconds; what took longer falls into one more."""


@dataclass(slots=True)
class Histogram:
    """`counts`: answers by the first of `BOUNDS` that they stayed below; `seconds`: of all."""

    counts: list[int]
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """Seconds below which this share of the answers stayed, as exactly as the bounds tell; 0 without answers."""
        wanted, seen = share * self.total, 0
        for index, count in enumerate(self.counts):
            if count and seen + count >= wanted:
                low = BOUNDS[index - 1] if index else 0.0
                high = BOUNDS[index] if index < len(BOUNDS) else low
                return low + (high - low) * (wanted - seen) / count
            seen += count
        return 0.0


class Latencies:
    """Any thread may note; without a lock, so that one in a million may be lost where two threads meet."""

    def __init__(self) -> None:
        self._of: dict[int, Histogram] = {}

    def note(self, opcode: int, seconds: float) -> None:
        """An answer that was not given at once."""
        found = self._of.get(opcode)
        if found is None:
            found = self._of.setdefault(opcode, Histogram([0] * (len(BOUNDS) + 1)))
        found.counts[bisect_left(BOUNDS, seconds)] += 1
        found.seconds += seconds

    def of(self, opcode: int) -> Histogram:
        """What is known of one kind of request."""
        found = self._of.get(opcode)
        return Histogram([0] * (len(BOUNDS) + 1)) if found is None else Histogram(list(found.counts), found.seconds)

    @property
    def total(self) -> int:
        """All answers."""
        return sum(found.total for found in list(self._of.values()))

    def opcodes(self) -> list[int]:
        """The kinds of which there are answers."""
        return sorted(self._of)
