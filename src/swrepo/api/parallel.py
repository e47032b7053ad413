"""Much the same work done by several threads, as it comes, without a queue that grows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

JOBS = 16
"""Threads that wait for a server, mostly."""

_AHEAD = 8
"""Items for each thread that may wait for their turn."""


def in_parallel(function: Callable[[T], R], items: Iterable[T], jobs: int = JOBS) -> Iterator[R]:
    """`map(function, items)` with `jobs` threads, in order. The first error ends it; what has not begun never does."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(jobs, thread_name_prefix="swrepo-api") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= jobs * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
