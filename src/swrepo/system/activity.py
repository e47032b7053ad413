"""What a thread is doing for somebody who waits, and when something last came of it.

Whoever does the work notes it in the record of the thread, at any depth; whoever waits for another's work follows that
one's record; whoever must tell slow from stuck looks at `last`. Times are those of the monotonic clock, in seconds.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final

_DEEPEST = 16
"""Records that follow one another: two or three; a circle would be an error of ours."""


class Activity:
    """One piece of work. `doing` says what, when it is made a string; `arrived` counts its bytes.

    Any thread may read it; the fields are single assignments, and a look at an old one does no harm.
    """

    __slots__ = ("_last", "arrived", "asker", "doing", "follows", "latest")

    def __init__(self, doing: object = "", follows: Activity | None = None) -> None:
        self._last = time.monotonic()
        self.doing = doing
        self.arrived = 0
        self.follows = follows
        self.asker: tuple[int, int, int] | None = None
        """Process, user and group that wait for it, where that is known."""
        self.latest: object = None

    def begin(self, doing: object) -> None:
        """Something else is done now. That is no progress yet."""
        self.doing = ANY.latest = doing
        self.arrived = 0

    def progress(self, count: int = 0) -> None:
        """Something came of it: `count` bytes."""
        self.arrived += count
        self._last = ANY._last = time.monotonic()  # noqa: SLF001 - one class

    def resume(self, follows: Activity | None = None) -> None:
        """Wait for nobody, or for another from now on; what has come until now counts."""
        self._last = self.last
        self.follows = follows

    @property
    def last(self) -> float:
        """When something last came of this work, or of what it waits for; at first, when it began."""
        found, record = self._last, self.follows
        for _ in range(_DEEPEST):
            if record is None:
                break
            found = max(found, record._last)  # noqa: SLF001 - one class
            record = record.follows
        return found

    @property
    def origin(self) -> Activity:
        """The record at the end of those that follow one another: the work that is waited for."""
        record = self
        for _ in range(_DEEPEST):
            if record.follows is None:
                break
            record = record.follows
        return record

    def __str__(self) -> str:
        record = self.origin
        if record is ANY and record.latest is not None:
            return f"{record.doing} behind others, the last of which asked for {record.latest}"
        arrived = f" ({record.arrived} bytes came)" if record.arrived else ""
        return f"{record.doing}{arrived}"


ANY: Final = Activity("waiting for its turn")
"""Stands for all work of the process: who waits until some of it is done follows this. `latest` was begun last."""

_of_thread = threading.local()


def current() -> Activity:
    """The record of what this thread is doing."""
    try:
        found: Activity = _of_thread.activity
    except AttributeError:
        found = _of_thread.activity = Activity()
    return found


class Working:
    """`with Working(activity):` what this thread does in there is noted in that record."""

    __slots__ = ("_activity", "_before")

    def __init__(self, activity: Activity) -> None:
        self._activity = activity
        self._before: Activity | None = None

    def __enter__(self) -> Activity:
        self._before = current()
        self._activity.resume()
        _of_thread.activity = self._activity
        return self._activity

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _of_thread.activity = self._before


class Following:
    """`with Following(activity):` this thread waits in there for the work that has that record."""

    __slots__ = ("_before", "_mine", "_other")

    def __init__(self, other: Activity) -> None:
        self._other = other
        self._mine = current()
        self._before: Activity | None = None

    def __enter__(self) -> None:
        self._before = self._mine.follows
        if self._other is not self._mine:
            self._mine.follows = self._other

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mine.resume(self._before)


class Gate:
    """A lock, for `with`, that is held while work is done: who waits for it follows whoever holds it."""

    __slots__ = ("_holder", "_lock")

    _LOOK_AGAIN = 1.0
    """Seconds after which one that waits looks who holds it by now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: Activity | None = None

    def __enter__(self) -> bool:
        """Whether somebody else held it when we came."""
        mine = current()
        waited = not self._lock.acquire(blocking=False)
        if waited:
            before = mine.follows
            try:
                mine.follows = self._other_than(mine)
                while not self._lock.acquire(timeout=self._LOOK_AGAIN):
                    mine.follows = self._other_than(mine)
            finally:
                mine.resume(before)
        self._holder = mine
        return waited

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder = None
        self._lock.release()

    def _other_than(self, mine: Activity) -> Activity | None:
        holder = self._holder
        return None if holder is mine else holder
