"""Objects that nobody uses go from a storage: many at a time, for each one's removal is mostly waiting.

A disk that is told of each freed block, and a bucket at the end of a network, take milliseconds for an object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from swrepo.format.object_id import ObjectId
from swrepo.objects.store import MeasuresObjects
from swrepo.publish.storage import Storage

_AT_ONCE = 8
_SHARE = 64
"""Objects that a thread takes at once."""


@dataclass(slots=True)
class Removal:
    """Removes from a storage, or, with `dry_run`, only looks. `told` gets each object and its stored bytes, before it
    goes, in the calling thread.
    """

    storage: Storage
    told: Callable[[ObjectId, int], object]
    dry_run: bool
    count: int = field(default=0, init=False)
    size: int = field(default=0, init=False)

    def in_any_order(self, names: Iterable[ObjectId]) -> None:
        """Remove all of these. Raises what the storage raised; some are gone then."""
        rest = iter(names)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="removal") as pool:
            while some := list(islice(rest, _AT_ONCE * _SHARE)):
                sizes = [size for part in pool.map(self._measure, _shares(some)) for size in part]
                there = self._tell(some, sizes)
                if not self.dry_run:
                    for _ in pool.map(self._delete, _shares(there)):
                        pass

    def in_order(self, names: Iterable[ObjectId]) -> None:
        """The same, no object before the one before it is gone."""
        for name in names:
            if self._tell([name], self._measure([name])) and not self.dry_run:
                self._delete([name])

    def _tell(self, names: Sequence[ObjectId], sizes: Sequence[int | None]) -> list[ObjectId]:
        """Those that are there: a collection that was interrupted may have removed some."""
        there = []
        for name, size in zip(names, sizes, strict=True):
            if size is not None:
                self.count += 1
                self.size += size
                self.told(name, size)
                there.append(name)
        return there

    def _measure(self, names: Sequence[ObjectId]) -> list[int | None]:
        source = self.storage.source
        return [source.stored_size(name) if isinstance(source, MeasuresObjects) else 0 for name in names]

    def _delete(self, names: Sequence[ObjectId]) -> None:
        for name in names:
            self.storage.store.delete(name)


def _shares(names: Sequence[ObjectId]) -> Iterator[Sequence[ObjectId]]:
    return (names[at : at + _SHARE] for at in range(0, len(names), _SHARE))
