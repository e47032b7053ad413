"""Answers out of the bytes of a connection: the plain ones whole, however they are cut; of others it is said at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swrepo.net.answers import Answer, Answers, Unusual

MOST = 1000


def head(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"", b""])


def answer(body: bytes, *lines: bytes) -> bytes:
    return head(b"Server: x", b"Content-Length: %d" % len(body), *lines) + body


def taken(answers: Answers, data: bytes) -> list[Answer]:
    """All that is complete when these bytes came."""
    found = []
    more = data
    while (one := answers.next(more, MOST)) is not None:
        found.append(one)
        more = b""
    return found


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5), st.lists(st.integers(0, 700), max_size=12))
def test_however_the_bytes_are_cut_the_answers_are_the_same(bodies: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(answer, bodies))
    answers, found, start = Answers(), [], 0
    for end in [*sorted(cuts), len(data)]:
        found += taken(answers, data[start:end])
        start = max(start, end)
    assert found == [Answer(200, body, is_last=False) for body in bodies]
    assert answers.is_empty


def test_a_status_is_told_with_its_body() -> None:
    data = head(b"CONTENT-LENGTH:\t3 ", status=b"404 Not Found") + b"no."
    assert taken(Answers(), data) == [Answer(404, b"no.", is_last=False)]


def test_a_server_that_will_close_the_connection_is_heard() -> None:
    assert taken(Answers(), answer(b"x", b"Connection: Close")) == [Answer(200, b"x", is_last=True)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(head(b"Transfer-Encoding: chunked") + b"0\r\n\r\n", id="chunked"),
        pytest.param(
            head(b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n", id="chunked and a length"
        ),
        pytest.param(head(b"Connection: close") + b"until the end", id="no length"),
        pytest.param(head(b"Content-Length: 1", b"Content-Length: 2") + b"xy", id="two lengths"),
        pytest.param(head(b"Content-Length: -1"), id="a negative length"),
        pytest.param(head(b"Content-Length: 1001") + b"x" * 1001, id="too long a body"),
        pytest.param(head(status=b"204 No Content"), id="no body"),
        pytest.param(head(b"Content-Length: 0", status=b"100 Continue"), id="an interim answer"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", id="an old protocol"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, id="a head without an end"),
    ],
)
def test_whatever_is_not_plain_is_unusual(data: bytes) -> None:
    with pytest.raises(Unusual):
        Answers().next(data, MOST)
