"""One fetch per object at a time: whoever asks for what is being fetched waits and shares the outcome.

Says nothing of *what* is fetched or where it goes, so it serves every cache.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Combine(Generic[K, T]):
    """Runs one `fetch` per key at a time. Safe from any thread; holds its lock only to look into the table.

    A fetch must not ask for its own key again: it would wait for itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[K, Future[T]] = {}

    def run(self, key: K, fetch: Callable[[], T]) -> T:
        """The outcome of `fetch()`, or that of the one which is running for `key` already; its error too.

        Nothing is remembered: once a fetch has ended, the next `run` of its key fetches again.
        """
        with self._lock:
            outcome = self._running.get(key)
            mine = outcome is None
            if outcome is None:
                outcome = self._running[key] = Future()
        if mine:
            self._fetch(key, fetch, outcome)
        return outcome.result()

    def waiting_for(self, key: K) -> bool:
        """Whether a fetch of `key` is under way."""
        with self._lock:
            return key in self._running

    def _fetch(self, key: K, fetch: Callable[[], T], outcome: Future[T]) -> None:
        try:
            result = fetch()
        except BaseException as error:  # noqa: BLE001 - it is raised again by outcome.result(), here and for all who wait
            self._forget(key)
            outcome.set_exception(error)
        else:
            self._forget(key)
            outcome.set_result(result)

    def _forget(self, key: K) -> None:
        with self._lock:
            del self._running[key]
