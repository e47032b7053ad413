"""Node numbers: which number the kernel knows an entry by, and back.

Each loaded catalog gets a span of numbers, one for each of its rows: number = base + row. That needs no memory per
entry but a count of what the kernel remembers, which outlives the process (vfs.journal). When a catalog is
superseded by a newer one, entries that did not change keep their numbers (`moved`), and those that the kernel still
holds but that are gone stay as they were (`frozen`), until the kernel forgets them. Numbers whose span nobody knows are
used again, so that they stay small.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass
from typing import Final

from swrepo.catalog.reader import CatalogFile
from swrepo.format.dirent import Chunk, Dirent
from swrepo.system.shared_memory import SharedMemory

_COUNT_SIZE = 4
_FEWEST_COUNTS = 1 << 16

SHAPE: Final = ("counts", _COUNT_SIZE)
"""What two programs have to agree on that share the memory."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """An entry of a revision that is gone: all that is needed to go on showing and reading it."""

    entry: Dirent
    chunks: tuple[Chunk, ...]


class Span:
    """The numbers `base` to `base + size` and what stands behind them. `owner` is the volume it belongs to.

    `known`: how many of them the kernel remembers.
    """

    __slots__ = ("alias", "base", "catalog", "frozen", "known", "moved", "owner", "size")

    def __init__(self, base: int, size: int, owner: object, catalog: CatalogFile | None) -> None:
        self.base = base
        self.size = size
        self.owner = owner
        self.catalog = catalog
        self.known = 0
        self.alias: dict[int, int] = {}
        self.moved: dict[int, tuple[Span, int]] = {}
        self.frozen: dict[int, Frozen] = {}

    def __lt__(self, other: Span) -> bool:
        return self.base < other.base

    def number(self, row: int) -> int:
        """The number of a row: its own, or the older one that it is known by."""
        return self.alias.get(row, self.base + row) if self.alias else self.base + row


class NodeTable:
    """All spans. For one thread at a time (the lock of `Vfs`)."""

    def __init__(self, first: int, memory: SharedMemory | None = None) -> None:
        """Numbers from `first` on. `memory` holds how often the kernel was told each number."""
        self._first = first
        self._memory = memory or new_memory()
        self._counts = self._memory.map()
        self.counts = memoryview(self._counts).cast("I")
        self._spans: list[Span] = []
        self._bases: list[int] = []
        self._last: Span | None = None
        self.returned = 0
        """How often an entry went back from an older number that the kernel forgot to its own."""

    def allocate(self, size: int, owner: object, catalog: CatalogFile | None) -> Span:
        """A span in the lowest gap that holds it."""
        base = self._first
        for span in self._spans:
            if span.base - base >= size:
                break
            base = span.base + span.size
        return self._put(Span(base, size, owner, catalog))

    def restore(self, span: Span) -> None:
        """Add a span that a process before this one gave out."""
        self._put(span)
        span.known = len(self.rows_known(span))

    def rows_known(self, span: Span) -> list[int]:
        """The rows of a span that the kernel remembers."""
        counts = self.counts[span.base : span.base + span.size]
        return [row for row, count in enumerate(counts) if count] if any(counts) else []

    def is_known(self, number: int) -> bool:
        """Whether the kernel remembers a number that was given out."""
        return self.counts[number] > 0

    def span(self, number: int) -> Span | None:
        """The span that a number belongs to."""
        last = self._last
        if last is not None and last.base <= number < last.base + last.size:
            return last
        index = bisect_right(self._bases, number) - 1
        if index < 0:
            return None
        found = self._spans[index]
        if number >= found.base + found.size:
            return None
        self._last = found
        return found

    def remember(self, number: int) -> None:
        """Note that the kernel was told a number once more."""
        span = self.span(number)
        if span is not None:
            if not self.counts[number]:
                span.known += 1
            self.counts[number] += 1

    def forget(self, number: int, times: int) -> bool:
        """Note that the kernel forgot `times` of the times that it was told a number; whether it has forgotten all."""
        span = self.span(number)
        if span is None:
            return False
        before = self.counts[number]
        if not before:
            return False
        self.counts[number] = max(0, before - times)
        if before > times:
            return False
        row = number - span.base
        span.known -= 1
        span.frozen.pop(row, None)
        target = span.moved.pop(row, None)
        if target is not None:
            target[0].alias.pop(target[1], None)
            self.returned += 1
        if span.catalog is None:
            self.release(span)
        return True

    def release(self, span: Span) -> None:
        """Free a superseded span that the kernel knows no number of."""
        if span.catalog is None and not span.known and span in self._spans:
            self._spans.remove(span)
            self._bases = [kept.base for kept in self._spans]
            self._last = None

    def spans(self) -> list[Span]:
        """Every span, in the order of the numbers."""
        return list(self._spans)

    def _put(self, span: Span) -> Span:
        end = span.base + span.size
        if end > len(self.counts):
            self._memory.grow(_COUNT_SIZE * max(end, 2 * len(self.counts)))
            self._counts = self._memory.map()
            self.counts = memoryview(self._counts).cast("I")
        insort(self._spans, span)
        self._bases = [known.base for known in self._spans]
        return span


def new_memory(inherited: int | None = None) -> SharedMemory:
    """Memory for the counts of one mount. `inherited`: the descriptor of another program's."""
    return SharedMemory(_COUNT_SIZE * _FEWEST_COUNTS, inherited)
