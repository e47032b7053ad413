"""Something that another thread fetches while this one fetches something else.

Whoever leaves with an exception waits for nothing: what is under way then ends by itself, and nobody asks for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from swrepo.system.activity import Activity, Following, Working

T = TypeVar("T")


class Meanwhile(Generic[T]):
    """`with Meanwhile(fetch) as other:` starts it; `other.result()` waits and returns, or raises, what it did."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._activity = Activity()
        self._found: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="meanwhile", daemon=True)

    def result(self) -> T:
        """What the work returned; raises what it raised."""
        self._wait()
        if self._error is not None:
            raise self._error
        return self._found[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._wait()

    def _wait(self) -> None:
        with Following(self._activity):
            self._thread.join()

    def _run(self) -> None:
        try:
            with Working(self._activity):
                self._found.append(self._work())
        except Exception as error:  # noqa: BLE001 - it is raised where the result is asked for
            self._error = error
