"""One fetch per object at a time: whoever asks for what is being fetched waits and shares the outcome.

Says nothing of *what* is fetched or where it goes, so it serves every cache.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from typing import Generic, TypeVar

from swrepo.system import activity
from swrepo.system.activity import Activity

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class _Running(Generic[T]):
    """Under the lock of its Combine. `outcome` is there once somebody waits for it: mostly nobody does."""

    __slots__ = ("activity", "outcome")

    def __init__(self, activity: Activity) -> None:
        self.activity = activity
        self.outcome: Future[T] | None = None

    def awaited(self) -> Future[T]:
        if self.outcome is None:
            self.outcome = Future()
        return self.outcome


class Combine(Generic[K, T]):
    """Runs one `fetch` per key at a time. Safe from any thread; holds its lock only to look into the table.

    Those who wait follow the activity of the one who fetches. A fetch must not ask for its own key again: it would wait
    for itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[K, _Running[T]] = {}  # guarded by _lock
        self._waiters: dict[K, int] = {}  # guarded by _lock: those that wait for another's fetch

    def run(self, key: K, fetch: Callable[[], T]) -> T:
        """The outcome of `fetch()`, or that of the one which is running for `key` already; its error too.

        Nothing is remembered: once a fetch has ended, the next `run` of its key fetches again.
        """
        while True:
            with self._lock:
                running = self._running.get(key)
                if running is None:
                    claim = self._begin(key)
                else:
                    outcome = running.awaited()
                    self._waiters[key] = self._waiters.get(key, 0) + 1
            if running is None:
                return _fetch(claim, fetch)
            try:
                with activity.Following(running.activity):
                    return outcome.result()
            except CancelledError:  # the thread that fetched was interrupted, which is no answer for this one
                continue
            finally:
                self._leave(key)

    def waiters(self, key: K) -> int:
        """How many wait for the fetch of `key`, besides the one that fetches."""
        with self._lock:
            return self._waiters.get(key, 0)

    def claim(self, key: K) -> Claim[K, T] | None:
        """The right to fetch `key`, for who fetches many at once; None while somebody else fetches it."""
        with self._lock:
            return None if key in self._running else self._begin(key)

    def forget(self, key: K) -> Future[T] | None:
        """For Claim alone: the fetch has ended. What those wait for who wait for it."""
        with self._lock:
            return self._running.pop(key).outcome

    def _begin(self, key: K) -> Claim[K, T]:
        self._running[key] = _Running(activity.current())
        return Claim(self, key)

    def _leave(self, key: K) -> None:
        with self._lock:
            self._waiters[key] -= 1
            if not self._waiters[key]:
                del self._waiters[key]


class Claim(Generic[K, T]):
    """One fetch under way, to be ended by exactly one of these.

    Each forgets it before the outcome is told: who asks from then on gets a fetch of their own, not one of the past.
    """

    __slots__ = ("_combine", "_key")

    def __init__(self, combine: Combine[K, T], key: K) -> None:
        self._combine = combine
        self._key = key

    def done(self, result: T) -> None:
        """Give this to those who wait."""
        outcome = self._combine.forget(self._key)
        if outcome is not None:
            outcome.set_result(result)

    def failed(self, error: Exception) -> None:
        """Raise this in those who wait."""
        outcome = self._combine.forget(self._key)
        if outcome is not None:
            outcome.set_exception(error)

    def drop(self) -> None:
        """Let those who wait fetch for themselves."""
        outcome = self._combine.forget(self._key)
        if outcome is not None:
            outcome.cancel()


def _fetch(claim: Claim[K, T], fetch: Callable[[], T]) -> T:
    try:
        result = fetch()
    except Exception as error:
        claim.failed(error)
        raise
    except BaseException:  # KeyboardInterrupt, SystemExit: of this thread alone
        claim.drop()
        raise
    claim.done(result)
    return result
