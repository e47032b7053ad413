"""net.event_stream against a real socket: what ends a subscription, and what does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from swrepo.config.network import NetworkParameters
from swrepo.errors import Unreachable
from swrepo.net.connect import event_stream
from swrepo.net.event_stream import EventStream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def stream_to(listener: socket.socket, limit: int = 1000) -> EventStream:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/subscribe"
    return event_stream(url, b'{"version":1}', NetworkParameters(), limit)


class Listening:
    """A stream that listens on a thread of its own; what it heard, and how it ended."""

    def __init__(self, stream: EventStream, listener: socket.socket) -> None:
        self.heard: list[bytes] = []
        self.error: Unreachable | None = None
        self._came = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(stream,))
        self._thread.start()
        self.connection, _ = listener.accept()
        self.request = b""
        while b'{"version":1}' not in self.request:
            self.request += self.connection.recv(4096)

    def _run(self, stream: EventStream) -> None:
        try:
            stream.listen(self._hear)
        except Unreachable as error:
            self.error = error

    def _hear(self, data: bytes) -> None:
        self.heard.append(data)
        self._came.release()

    def wait_for_one(self) -> None:
        assert self._came.acquire(timeout=20)

    def has_ended(self) -> bool:
        self._thread.join(20)
        self.connection.close()
        return not self._thread.is_alive()


def test_an_event_is_told_while_the_answer_goes_on(listener: socket.socket) -> None:
    stream = stream_to(listener)
    listening = Listening(stream, listener)
    assert listening.request.startswith(b"GET /subscribe HTTP/1.1\r\n")
    listening.connection.sendall(HEAD + b"data: on")
    listening.connection.sendall(b"e\n\n")
    listening.wait_for_one()
    listening.connection.sendall(b"data: two\n\n")
    listening.wait_for_one()
    assert listening.heard == [b"one", b"two"]
    stream.close()
    assert listening.has_ended()
    assert listening.error is None


def test_the_end_of_the_answer_is_no_error(listener: socket.socket) -> None:
    listening = Listening(stream_to(listener), listener)
    listening.connection.sendall(HEAD + b'data: one\n\n{"status":"timeout"}')
    listening.connection.close()
    assert listening.has_ended()
    assert (listening.heard, listening.error) == ([b"one"], None)


def test_an_error_page_is_not_told(listener: socket.socket) -> None:
    listening = Listening(stream_to(listener), listener)
    listening.connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\ndata: x\n\n")
    assert listening.has_ended()
    assert listening.heard == []
    assert "HTTP status 404" in str(listening.error)


def test_what_does_not_end_is_not_kept(listener: socket.socket) -> None:
    listening = Listening(stream_to(listener, limit=1000), listener)
    listening.connection.sendall(HEAD + b"data: " + b"x" * 2000)
    assert listening.has_ended()
    assert listening.heard == []
    assert "an event of more than 1000 bytes" in str(listening.error)


def test_it_can_be_closed_before_the_server_says_anything(listener: socket.socket) -> None:
    stream = stream_to(listener)
    listening = Listening(stream, listener)
    stream.close()
    assert listening.has_ended()
    assert listening.error is None


def test_no_server_is_unreachable(listener: socket.socket) -> None:
    stream = stream_to(listener)
    listener.close()
    with pytest.raises(Unreachable, match="/subscribe: "):
        stream.listen(print)


def test_a_stream_that_was_closed_does_not_listen_again(listener: socket.socket) -> None:
    stream = stream_to(listener)
    stream.close()
    stream.listen(print)
