"""format.announcement and net.event_stream: what a notification server says, in whatever pieces it comes."""

from __future__ import annotations

import json

import pytest

from swrepo.errors import FormatError
from swrepo.format.announcement import Announcement, subscription
from swrepo.net.event_stream import Events

# As `cvmfs_swissknife notify -p` of CernVM-FS writes it.
OF_THE_ORIGINAL = (
    b'{ "version" : 1, "timestamp" : "28 Nov 2026 14:00:00", "type" : "activity", '
    b'"repository" : "test.example.org", "manifest" : "Q2FiYwotLQo="}'
)


def test_a_message_of_the_original_is_understood() -> None:
    message = Announcement.parse(OF_THE_ORIGINAL)
    assert message == Announcement("test.example.org", b"Cabc\n--\n", "28 Nov 2026 14:00:00")


def test_what_is_written_is_what_the_original_reads() -> None:
    message = Announcement("test.example.org", b"C\x00\xff\n--\n", "now")
    assert json.loads(message.encode()) == {
        "version": 1,
        "timestamp": "now",
        "type": "activity",
        "repository": "test.example.org",
        "manifest": "QwD/Ci0tCg==",
    }
    assert Announcement.parse(message.encode()) == message
    assert json.loads(subscription("a.b")) == {"version": 1, "repository": "a.b"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"status":"timeout"}',
        b"[" * 100_000,
        OF_THE_ORIGINAL.replace(b"activity", b"other"),
        OF_THE_ORIGINAL.replace(b'"Q2FiYwotLQo="', b'"Q2F*"'),
        OF_THE_ORIGINAL.replace(b'"Q2FiYwotLQo="', b"7"),
        OF_THE_ORIGINAL.replace(b'"test.example.org"', b"null"),
    ],
)
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        Announcement.parse(raw)


STREAM = b"data: one\n\n: a comment\nevent: x\ndata:two\r\ndata: lines\r\n\r\n\n\ndata: \xc3\xa9\n\ndata: cut off"


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(STREAM)])
def test_events_are_told_whole_in_whatever_pieces_they_come(size: int) -> None:
    heard: list[bytes] = []
    events = Events(heard.append, 100)
    for start in range(0, len(STREAM), size):
        events.take(STREAM[start : start + size])
    assert heard == [b"one", b"two\nlines", b"\xc3\xa9"]


@pytest.mark.parametrize("block", [b"x" * 101, b"data: 0123456789012345678901234\n" * 5], ids=["a line", "many lines"])
def test_an_event_without_an_end_is_not_kept(block: bytes) -> None:
    events = Events(lambda _data: pytest.fail("no event"), 100)
    assert not events.is_too_long
    events.take(block)
    assert events.is_too_long
