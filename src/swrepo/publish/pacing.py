"""When what changed is published: once all is quiet, but not later than some time after the first change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pacing:
    """Seconds of a clock that only goes forward.

    `quiet`: without a change before a publication. `at_most`: after the first change, however unquiet. `retry`: after a
    publication that failed. `everything`: between comparisons of all there is; 0: none after the first.
    """

    quiet: float
    at_most: float
    retry: float = 60.0
    everything: float = 0.0
    _first: float | None = None
    _last: float = 0.0
    _not_before: float = 0.0
    _compared: float = 0.0

    def changed(self, now: float) -> None:
        """Something changed."""
        if self._first is None:
            self._first = now
        self._last = now

    def published(self, now: float, *, everything: bool) -> None:
        """All changes so far are published."""
        self._first = None
        self._not_before = now
        if everything:
            self._compared = now

    def failed(self, now: float) -> None:
        """They could not be; they are tried again later."""
        self._not_before = now + self.retry
        self.changed(now)

    def wants_everything(self, now: float) -> bool:
        """Whether it is time to compare all there is."""
        return self.everything > 0 and now >= self._compared + self.everything

    def wait(self, now: float) -> float | None:
        """Seconds until something is to be done, 0 or less: now; None: nothing before the next change."""
        due = [self._compared + self.everything] if self.everything > 0 else []
        if self._first is not None:
            due.append(min(self._last + self.quiet, self._first + self.at_most))
        return max(min(due), self._not_before) - now if due else None
