"""What happened of late: a set that forgets what was added first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Recent(Generic[T]):
    """Holds the last `most` things that were added. For one thread at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: OrderedDict[T, None] = OrderedDict()

    def add(self, item: T) -> bool:
        """Note it; False where it is here already."""
        if item in self._items:
            return False
        self._items[item] = None
        if len(self._items) > self._most:
            self._items.popitem(last=False)
        return True

    def drop(self, item: T) -> None:
        """Forget it."""
        self._items.pop(item, None)

    def __contains__(self, item: T) -> bool:
        return item in self._items

    def clear(self) -> None:
        """Forget all."""
        self._items.clear()
