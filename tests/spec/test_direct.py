"""Objects that the loop asks for by itself: what it does where that goes wrong in a way that nobody thought of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from swrepo.errors import Unreachable
from swrepo.format.object_id import ObjectId
from swrepo.mount.direct import LARGEST, Direct
from swrepo.objects.store import Want
from tests.conftest import ExpectedWarnings

WANT = Want(ObjectId.of(b"stored"), size=5)


class Loop:
    """Watches like a session; `come` says that something came."""

    def __init__(self) -> None:
        self.watched: dict[int, Callable[[], object]] = {}
        self.watch = self.watched.__setitem__
        self.unwatch = self.watched.pop

    def come(self) -> None:
        for ready in list(self.watched.values()):
            ready()


class Coming:
    """Gives what it is told to, one after the other; an error is raised."""

    def __init__(self, descriptor: int, *outcomes: bytes | Exception | None) -> None:
        self.fileno = lambda: descriptor
        self.outcomes = list(outcomes)
        self.checked: list[float] = []
        self.check = self.checked.append
        self.is_cancelled = False

    def advance(self) -> bytes | None:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def cancel(self) -> None:
        self.is_cancelled = True


@pytest.fixture
def descriptor() -> Iterator[int]:
    found = os.eventfd(0)
    yield found
    os.close(found)


class Asked:
    """One object that is asked for, and what became of it."""

    def __init__(self, begin: Callable[[Want], Any], want: Want = WANT) -> None:
        self.loop, self.direct = Loop(), Direct()
        self.came: list[bytes] = []
        self.failures = 0
        objects: Any = SimpleNamespace(begin=begin)
        session: Any = self.loop
        self.has_begun = self.direct.begin(session, want, objects, self.came.append, self._failed)

    def _failed(self) -> None:
        self.failures += 1


def test_what_came_is_given_once_and_nothing_is_waited_for_any_more(descriptor: int) -> None:
    asked = Asked(lambda _want: Coming(descriptor, None, b"plain"))
    asked.loop.come()
    assert asked.came == []
    asked.loop.come()
    asked.loop.come()
    assert (asked.came, asked.failures, asked.loop.watched) == ([b"plain"], 0, {})
    assert asked.direct.taken == 1


def test_what_cannot_be_had_is_said_once(descriptor: int) -> None:
    asked = Asked(lambda _want: Coming(descriptor, Unreachable("gone")))
    asked.loop.come()
    assert (asked.came, asked.failures, asked.loop.watched) == ([], 1, {})


def test_errors_of_ours_are_failures_too(descriptor: int, expected_warnings: ExpectedWarnings) -> None:
    expected_warnings("could not be taken")
    asked = Asked(lambda _want: Coming(descriptor, RuntimeError("ours")))
    asked.loop.come()
    assert (asked.failures, asked.loop.watched) == (1, {})


def test_an_error_of_ours_in_asking_leaves_it_to_others(expected_warnings: ExpectedWarnings) -> None:
    expected_warnings("could not be asked for")

    def begin(_want: Want) -> Coming:
        raise RuntimeError("ours")

    assert not Asked(begin).has_begun


def test_large_objects_and_those_of_unknown_size_are_for_others() -> None:
    for size in (None, LARGEST + 1):
        asked = Asked(lambda _want: pytest.fail("it was asked for"), Want(WANT.id, size=size))
        assert not asked.has_begun


def test_at_the_end_all_that_is_on_its_way_is_given_up(descriptor: int) -> None:
    coming = Coming(descriptor)
    asked = Asked(lambda _want: coming)
    asked.direct.check(7.0)
    asked.direct.close()
    assert (coming.checked, coming.is_cancelled, asked.failures) == ([7.0], True, 0)
