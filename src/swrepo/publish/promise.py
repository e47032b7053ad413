"""What will be known later, whoever finds it out: this thread, another one, or a process."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Promise(Protocol[T_co]):
    """A `concurrent.futures.Future`, or the like of it."""

    def done(self) -> bool:
        """Whether `result` would return at once."""
        ...

    def result(self) -> T_co:
        """Wait for it, and return it. Raises what kept it from being."""
        ...


class Known(Generic[T_co]):
    """What is known already."""

    def __init__(self, value: T_co) -> None:
        self._value = value

    def done(self) -> bool:
        return True

    def result(self) -> T_co:
        return self._value
