"""objects.combine: one fetch per object at a time, its outcome shared."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from swrepo.errors import Unreachable
from swrepo.objects.combine import Combine

PATIENCE = 30
"""Seconds until a test that hangs fails; never waited for otherwise."""


class Fetch:
    """A fetch that ends when it is told to; counts how often it was started."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.outcome: Future[object] = Future()
        self.count = 0

    def __call__(self) -> object:
        self.count += 1
        self.started.set()
        return self.outcome.result(PATIENCE)


def ask_for(combine: Combine[str, object], key: str, fetch: Callable[[], object], askers: int) -> list[Future[object]]:
    """Let `askers` threads ask, and return once all of them do."""
    arrived = threading.Barrier(askers + 1)

    def ask() -> object:
        arrived.wait(PATIENCE)
        return combine.run(key, fetch)

    threads = ThreadPoolExecutor(askers)
    asked = [threads.submit(ask) for _ in range(askers)]
    threads.shutdown(wait=False)
    arrived.wait(PATIENCE)
    return asked


def until_they_wait(combine: Combine[str, object], key: str, askers: int) -> None:
    while combine.waiters(key) < askers:
        os.sched_yield()


def test_whoever_asks_meanwhile_shares_the_outcome() -> None:
    combine: Combine[str, object] = Combine()
    fetch = Fetch()
    first = ask_for(combine, "object", fetch, 1)
    assert fetch.started.wait(PATIENCE)
    others = ask_for(combine, "object", lambda: pytest.fail("fetched twice"), 20)
    until_they_wait(combine, "object", 20)
    fetch.outcome.set_result("bytes")
    assert [asked.result(PATIENCE) for asked in first + others] == ["bytes"] * 21
    assert fetch.count == 1


def test_an_error_is_shared_as_well() -> None:
    combine: Combine[str, object] = Combine()
    fetch = Fetch()
    asked = ask_for(combine, "object", fetch, 1)
    assert fetch.started.wait(PATIENCE)
    asked += ask_for(combine, "object", lambda: pytest.fail("fetched twice"), 5)
    until_they_wait(combine, "object", 5)
    fetch.outcome.set_exception(Unreachable("no route"))
    for one in asked:
        with pytest.raises(Unreachable, match="no route"):
            one.result(PATIENCE)


def test_different_objects_do_not_wait_for_each_other() -> None:
    combine: Combine[str, object] = Combine()
    slow = Fetch()
    asked = ask_for(combine, "slow", slow, 1)
    assert slow.started.wait(PATIENCE)
    assert combine.run("quick", lambda: "done") == "done"
    slow.outcome.set_result("late")
    assert asked[0].result(PATIENCE) == "late"


def test_nothing_is_remembered_once_a_fetch_has_ended() -> None:
    combine: Combine[str, object] = Combine()
    counter = iter(range(10))
    assert [combine.run("object", lambda: next(counter)) for _ in range(3)] == [0, 1, 2]

    def fail() -> object:
        raise Unreachable("no route")

    with pytest.raises(Unreachable):
        combine.run("object", fail)
    assert combine.run("object", lambda: "now it is there") == "now it is there"


def test_one_fetch_may_need_another() -> None:
    combine: Combine[str, object] = Combine()
    assert combine.run("file", lambda: combine.run("catalog", lambda: "catalog")) == "catalog"


def test_who_waits_fetches_itself_when_the_fetching_thread_is_interrupted() -> None:
    combine: Combine[str, object] = Combine()
    fetch = Fetch()
    interrupted = ask_for(combine, "object", fetch, 1)
    assert fetch.started.wait(PATIENCE)
    waiting = ask_for(combine, "object", lambda: "fetched by another", 3)
    until_they_wait(combine, "object", 3)
    fetch.outcome.set_exception(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        interrupted[0].result(PATIENCE)
    assert [asked.result(PATIENCE) for asked in waiting] == ["fetched by another"] * 3
    assert combine.waiters("object") == 0
