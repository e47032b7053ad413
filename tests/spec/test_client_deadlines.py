"""mount.deadlines: who is overdue, and what the log says; mount.failures and mount.outage: what is not said again."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest

from swrepo.cli.options import parse
from swrepo.errors import ObjectNotFound, Unreachable, UsageError
from swrepo.format.object_id import ObjectId
from swrepo.fuse import wire
from swrepo.fuse.request import Request
from swrepo.fuse.session import Session
from swrepo.fuse.wire import Opcode
from swrepo.mount.deadlines import Deadlines
from swrepo.mount.failures import MOMENT, Failures
from swrepo.mount.outage import Outage
from swrepo.system.activity import ANY, Activity
from tests.conftest import ExpectedWarnings

LIMIT = 60.0
OVERDUE = "nothing came for 60 seconds"


class Kernel:
    """A session with requests that it has deferred, and the errors that the kernel gets for them."""

    def __init__(self) -> None:
        self._receiver, sender = os.pipe()
        os.set_blocking(self._receiver, False)
        self.session = Session(sender, {})
        self.deadlines = Deadlines(self.session, LIMIT)
        self._count = 0

    def defer(self) -> Request:
        self._count += 1
        request = Request(self._count, Opcode.READ, 7, 0, 0, 1, b"")
        self.session.defer(request)
        return request

    def answers(self) -> dict[int, int]:
        """Errno by number of request, of the errors that were sent."""
        try:
            sent = os.read(self._receiver, 4096)
        except BlockingIOError:
            return {}
        return {unique: -error for _, error, unique in wire.OUT_HEADER.iter_unpack(sent)}

    def close(self) -> None:
        os.close(self._receiver)
        os.close(self.session.device)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    found = Kernel()
    yield found
    found.close()


def test_a_request_is_overdue_when_nothing_came_for_the_limit(
    kernel: Kernel, expected_warnings: ExpectedWarnings, caplog: pytest.LogCaptureFixture
) -> None:
    expected_warnings(OVERDUE)
    request = kernel.defer()
    record = kernel.deadlines.record(request)
    record.resume()
    record.begin("object abc from http://a")

    kernel.deadlines.check(record.last + LIMIT - 0.1)
    assert kernel.answers() == {}

    kernel.deadlines.check(record.last + LIMIT)
    assert kernel.answers() == {request.unique: errno.EIO}
    assert "READ of node 7 failed: nothing came for 60 seconds: object abc from http://a" in caplog.text


def test_a_byte_puts_the_deadline_off(kernel: Kernel) -> None:
    record = kernel.deadlines.record(kernel.defer())
    record.resume()
    due = record.last + LIMIT
    record.progress(1)
    kernel.deadlines.check(due)
    assert kernel.answers() == {}


def test_those_who_wait_for_one_fetch_are_overdue_together_with_one_line(
    kernel: Kernel, expected_warnings: ExpectedWarnings, caplog: pytest.LogCaptureFixture
) -> None:
    expected_warnings(OVERDUE)
    requests = [kernel.defer() for _ in range(5)]
    first, *others = (kernel.deadlines.record(request) for request in requests)
    first.resume()
    for other in others:
        other.resume(first)
    kernel.deadlines.check(max(other.last for other in others) + LIMIT)
    assert kernel.answers() == dict.fromkeys((request.unique for request in requests), errno.EIO)
    assert caplog.text.count(OVERDUE) == 1


def test_a_request_that_no_thread_works_for_yet_is_overdue_only_when_nothing_at_all_comes(
    kernel: Kernel, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings(OVERDUE)
    kernel.defer()
    kernel.deadlines.check(0.0)  # notices it
    ANY._last += 1000  # others get on, much later
    kernel.deadlines.check(ANY.last + LIMIT - 1)
    assert kernel.answers() == {}
    kernel.deadlines.check(ANY.last + LIMIT)
    assert list(kernel.answers().values()) == [errno.EIO]
    ANY._last -= 1000


def test_an_answer_that_comes_after_the_deadline_is_dropped(
    kernel: Kernel, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings(OVERDUE)
    request = kernel.defer()
    kernel.deadlines.check(kernel.deadlines.record(request).last + LIMIT)
    kernel.answers()
    assert kernel.session.answer(request, b"late") is False
    assert kernel.answers() == {}


def test_records_of_answered_requests_are_forgotten(kernel: Kernel) -> None:
    request = kernel.defer()
    record = kernel.deadlines.record(request)
    kernel.session.answer(request, b"")
    kernel.deadlines.check(record.last)
    assert kernel.deadlines._records == {}


def test_a_short_deadline_is_looked_at_often() -> None:
    session = Session(-1, {})
    assert Deadlines(session, 60.0).period == 1.0
    assert Deadlines(session, 1.0).period == pytest.approx(0.2)


def test_a_failure_stands_for_a_moment() -> None:
    now = 100.0
    failures = Failures(lambda: now)
    failed, other = ObjectId.of(b"failed"), ObjectId.of(b"other")
    failures.note(failed)
    assert failures.is_recent(failed)
    assert not failures.is_recent(other)
    now += MOMENT
    assert not failures.is_recent(failed)


def test_an_outage_is_told_when_it_begins_changes_and_ends(
    expected_warnings: ExpectedWarnings, caplog: pytest.LogCaptureFixture
) -> None:
    expected_warnings("stays at its revision")
    caplog.set_level("INFO")
    outage = Outage()
    for error in (Unreachable("first"), Unreachable("second"), ObjectNotFound("third"), ObjectNotFound("fourth")):
        outage.failed("a.example.org", error)
    for _ in range(2):
        outage.over("a.example.org")
    assert [record.getMessage() for record in caplog.records] == [
        "a.example.org stays at its revision: first",
        "a.example.org stays at its revision: third",
        "a.example.org can be refreshed again",
    ]


def test_what_nobody_works_for_yet_says_what_others_wait_for() -> None:
    Activity().begin("object abc from http://a")
    assert str(Activity(ANY.doing, ANY)) == (
        "waiting for its turn behind others, the last of which asked for object abc from http://a"
    )


@pytest.mark.parametrize("text", ["0", "-1", "soon", "", "99999999"])
def test_a_deadline_is_a_sensible_number_of_seconds(text: str) -> None:
    with pytest.raises(UsageError, match="a whole number of seconds is needed"):
        parse([f"deadline={text}"])
