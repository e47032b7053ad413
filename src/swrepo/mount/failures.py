"""Objects that could not be had a moment ago.

When reading ahead fails, the kernel asks again for each page that a program waits for, and for each program in turn.
All of them get the answer that there is, instead of a try of their own that takes as long again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from swrepo.format.object_id import ObjectId

MOMENT = 1.0
"""Seconds for which a failure stands. A server that is well again is asked again after that."""

_MOST = 1000


class Failures:
    """Safe from any thread, without a lock: each step is one operation on a table."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[ObjectId, float] = {}

    def note(self, object_id: ObjectId) -> None:
        """It could not be had just now."""
        if len(self._since) >= _MOST:
            self._since = {}
        self._since[object_id] = self._clock()

    def is_recent(self, object_id: ObjectId) -> bool:
        """Whether that was a moment ago."""
        since = self._since.get(object_id)
        return since is not None and self._clock() - since < MOMENT
