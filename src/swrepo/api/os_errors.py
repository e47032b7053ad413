"""What programs that read files know when no server answers: a ConnectionError or a TimeoutError, as of a socket."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from swrepo.errors import NoConnection, TimedOut, Unreachable

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@contextmanager
def os_errors() -> Iterator[None]:
    """Let an `Unreachable` leave as one that is an OSError too.

    Below this border it is none: what cannot be fetched must not be taken for a disk that fails.
    """
    try:
        yield
    except (NoConnection, TimedOut):
        raise
    except Unreachable as error:
        kind = TimedOut if error.timed_out else NoConnection
        found = kind(str(error), timed_out=error.timed_out)
        found.tries = error.tries
        raise found from error


def raises_os_errors(function: F) -> F:
    """The function, with `os_errors`; also one that yields."""
    yields = inspect.isgeneratorfunction(function)

    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        with os_errors():
            found = function(*arguments, **named)
        return _iterated(found) if yields else found

    return cast("F", wrapped)


def all_raise_os_errors(kind: type[T]) -> type[T]:
    """A class decorator: the same for each of its own methods that everybody may call."""
    for name, found in list(vars(kind).items()):
        if not name.startswith("_") and callable(found):
            setattr(kind, name, raises_os_errors(found))
    return kind


def _iterated(items: Iterator[Any]) -> Iterator[Any]:
    while True:
        with os_errors():
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
