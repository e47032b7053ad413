"""fuse.inflight: what a process that died had read from the kernel and not answered."""

from __future__ import annotations

import os

from swrepo.fuse.inflight import SLOTS, InFlight, new_memory
from swrepo.fuse.wire import IN_HEADER, READ_BUFFER


def request(unique: int, body: bytes = b"name\0") -> bytes:
    return IN_HEADER.pack(IN_HEADER.size + len(body), 1, unique, 2, 0, 0, 0, 0, 0) + body


def receive(inflight: InFlight, data: bytes) -> None:
    """As reading from the device does."""
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    assert os.readv(reader, [inflight.buffer]) == len(data)
    os.close(reader)


def left(memory) -> list[bytes]:
    return [inherited.data for inherited in InFlight(memory).inherited]


def test_nothing_is_inherited_at_first() -> None:
    assert InFlight().inherited == []


def test_the_request_that_was_read_last_is_inherited_whether_it_was_answered_or_not() -> None:
    memory = new_memory()
    receive(InFlight(memory), request(7))

    assert left(memory) == [request(7)]


def test_deferred_requests_are_inherited_until_they_are_answered() -> None:
    memory = new_memory()
    first = InFlight(memory)
    for unique in (1, 2, 3):
        receive(first, request(unique, b"%d\0" % unique))
        first.defer(unique)
    first.answered(2)

    assert left(memory) == [request(1, b"1\0"), request(3, b"3\0")]
    assert left(memory) == [request(1, b"1\0"), request(3, b"3\0")], "by the next after that, too"


def test_what_was_answered_before_may_be_told_again() -> None:
    inflight = InFlight()
    inflight.answered(99)
    receive(inflight, request(5))
    inflight.defer(4)  # not what was read last: somebody else's

    assert inflight._slots == {}


def test_attempts_count_those_who_began_to_handle_a_request() -> None:
    memory = new_memory()
    first = InFlight(memory)
    receive(first, request(1))
    first.defer(1)
    for attempts in range(3):
        successor = InFlight(memory)
        assert [inherited.attempts for inherited in successor.inherited] == [attempts]
        successor.attempt(successor.inherited[0])
    assert [inherited.attempts for inherited in InFlight(memory).inherited] == [3]


def test_more_requests_than_there_is_room_for_and_ones_that_are_too_long_are_left_out() -> None:
    memory = new_memory()
    inflight = InFlight(memory)
    for unique in range(1, SLOTS + 10):
        receive(inflight, request(unique))
        inflight.defer(unique)
    assert len(left(memory)) == SLOTS + 1, "and the one that was read last"

    other = InFlight(new_memory())
    receive(other, request(1, bytes(4000)))
    other.defer(1)
    other.answered(1)


def test_a_request_whose_length_cannot_be_is_none() -> None:
    memory = new_memory()
    inflight = InFlight(memory)
    receive(inflight, IN_HEADER.pack(READ_BUFFER + 1, 1, 1, 1, 0, 0, 0, 0, 0))
    assert left(memory) == []
    receive(inflight, IN_HEADER.pack(3, 1, 1, 1, 0, 0, 0, 0, 0))
    assert left(memory) == []
