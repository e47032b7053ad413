"""Which chunks of a large file to fetch before they are asked for: pure policy, told which of them are read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from swrepo.objects.store import Want

MOST_CHUNKS = 4
MOST_BYTES = 32 << 20
"""Chunks, and bytes of them, that are fetched ahead of one reader: they travel and are unpacked at the same time."""

_FILES = 64


class ChunksAhead:
    """Follows those who read files from chunk to chunk. For one thread at a time."""

    def __init__(self) -> None:
        self._readers: OrderedDict[int, _Reader] = OrderedDict()

    def read(self, number: int, index: int, wants: Sequence[Want]) -> Sequence[Want]:
        """The chunk `index` of the file `number`, which has the chunks `wants`, is read: what to fetch now."""
        reader = self._readers.get(number)
        if reader is None:
            reader = self._readers[number] = _Reader(index)
            if len(self._readers) > _FILES:
                self._readers.popitem(last=False)
            return ()
        if index == reader.index:
            return ()
        is_next = index == reader.index + 1
        # Who comes from the chunk before will go on; who jumped may have been a step ahead of another reader.
        reader.window = min(MOST_CHUNKS, max(1, 2 * reader.window)) if is_next else reader.window // 2
        reader.index = index
        self._readers.move_to_end(number)
        if not is_next:
            reader.asked_until = index
            return ()
        first = max(index, reader.asked_until) + 1
        until, room = first, MOST_BYTES - sum(want.size or 0 for want in wants[index + 1 : first])
        while until <= min(index + reader.window, len(wants) - 1):
            room -= wants[until].size or 0
            if room < 0 and until > index + 1:
                break
            until += 1
        reader.asked_until = max(reader.asked_until, until - 1)
        return wants[first:until]

    def forget(self, number: int) -> None:
        """The file is not open any more."""
        self._readers.pop(number, None)


class _Reader:
    """Who reads a file is at chunk `index`; those up to `asked_until` were asked for."""

    __slots__ = ("asked_until", "index", "window")

    def __init__(self, index: int) -> None:
        self.index = index
        self.asked_until = index
        self.window = 0
