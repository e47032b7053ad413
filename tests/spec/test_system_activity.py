"""system.activity: what is slow is told from what is stuck, also by those who wait for another's work."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from swrepo.objects.combine import Combine
from swrepo.system import activity
from swrepo.system.activity import ANY, Activity, Following, Gate, Working

PATIENCE = 30


def test_progress_is_newer_than_the_beginning() -> None:
    record = Activity()
    began = record.last
    record.progress(5)
    assert record.last > began
    assert record.arrived == 5


def test_to_begin_something_else_is_no_progress() -> None:
    record = Activity()
    record.progress(5)
    last = record.last
    record.begin("another try")
    assert record.last == last
    assert str(record) == "another try"


def test_a_thread_notes_in_the_record_that_it_works_for() -> None:
    record, before = Activity("a request"), activity.current()
    with Working(record):
        activity.current().progress(7)
    assert str(record) == "a request (7 bytes came)"
    assert activity.current() is before


def test_each_thread_has_a_record_of_its_own() -> None:
    with ThreadPoolExecutor(1) as other:
        assert other.submit(activity.current).result(PATIENCE) is not activity.current()


def test_who_follows_another_has_its_progress_and_words_and_keeps_what_came_meanwhile() -> None:
    mine, other = Activity("mine"), Activity("the other's")
    with Working(mine):
        with Following(other):
            other.progress(3)
            assert mine.last == other.last
            assert str(mine) == "the other's (3 bytes came)"
        assert mine.last == other.last, "it did not wait for nothing"
        other.progress(3)
        assert mine.last < other.last
        assert str(mine) == "mine"


def test_a_circle_of_records_hangs_nobody() -> None:
    one, other = Activity("one"), Activity("other")
    one.follows, other.follows = other, one
    assert str(one) in {"one", "other"}
    assert one.last == max(one._last, other._last)


def test_who_waits_for_its_turn_follows_whatever_the_process_does() -> None:
    waiting = Activity(ANY.doing, ANY)
    somebody = Activity()
    somebody.progress(1)
    assert waiting.last == somebody.last
    waiting.resume()
    assert waiting.last == somebody.last, "what came until its turn counts"


def test_who_waits_for_anothers_fetch_follows_it() -> None:
    combine: Combine[str, str] = Combine()
    started, go = threading.Event(), threading.Event()
    fetching, waiting = Activity("fetches"), Activity("waits")

    def fetch() -> str:
        started.set()
        go.wait(PATIENCE)
        return "bytes"

    def work(record: Activity) -> str:
        with Working(record):
            return combine.run("object", fetch)

    with ThreadPoolExecutor(2) as threads:
        outcomes = [threads.submit(work, fetching)]
        assert started.wait(PATIENCE)
        outcomes.append(threads.submit(work, waiting))
        while waiting.follows is not fetching:
            os.sched_yield()
        fetching.progress(9)
        assert waiting.last == fetching.last
        assert str(waiting) == "fetches (9 bytes came)"
        go.set()
        assert [outcome.result(PATIENCE) for outcome in outcomes] == ["bytes"] * 2
    assert waiting.follows is None


def test_who_waits_at_a_gate_follows_the_one_inside_and_is_told_that_it_waited() -> None:
    gate = Gate()
    inside, waiting = Activity("inside"), Activity("waiting")

    def pass_through() -> bool:
        with Working(waiting), gate as waited:
            return waited

    with ThreadPoolExecutor(1) as thread:
        with Working(inside), gate as waited:
            assert waited is False
            outcome = thread.submit(pass_through)
            while waiting.follows is not inside:
                os.sched_yield()
            inside.progress(2)
            assert waiting.last == inside.last
        assert outcome.result(PATIENCE) is True
    assert waiting.follows is None


def test_an_error_inside_a_gate_opens_it() -> None:
    gate = Gate()
    with pytest.raises(ZeroDivisionError), gate:
        raise ZeroDivisionError
    with gate as waited:
        assert waited is False
