"""How many catalogs keep their connection to SQLite: those that were used last; the others are parked.

A walk through a repository of thousands of catalogs would otherwise hold hundreds of megabytes for good.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque

from swrepo.catalog.database import Database

_AT_MOST = 96


class Warm:
    """The open databases of one tree, in a circle: one that was used since it came by last stays (second chance)."""

    def __init__(self, at_most: int = _AT_MOST) -> None:
        self._at_most = at_most
        self._lock = threading.Lock()
        # Weak: a catalog that nobody uses any more is closed by its last user.
        self._circle: deque[weakref.ref[Database]] = deque()

    def add(self, database: Database) -> None:
        """Count a database from now on, whenever it is open."""
        database.on_open = self._opened
        self._opened(database)

    def _opened(self, database: Database) -> None:
        database.used = False
        with self._lock:
            self._circle.append(weakref.ref(database))
            for _ in range(2 * len(self._circle)):
                if len(self._circle) <= self._at_most:
                    break
                self._look_at(self._circle.popleft())

    def _look_at(self, reference: weakref.ref[Database]) -> None:
        database = reference()
        if database is None:
            return
        if database.used or not database.park():
            database.used = False
            self._circle.append(reference)
