"""An answer that does not end: server-sent events, each told as it comes. One stream has one thread and one connection.

Not here: what the events mean, and when to ask again (mount.announcements).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

import pycurl

from swrepo.net.easy import EasyOptions
from swrepo.net.faults import Fault, TransferFailed

_OK = 200
_CONNECTING, _ANSWERING = 10_000, 60_000
"""Milliseconds."""

_JSON = "Content-Type: application/json"

_QUIET, _BETWEEN = 60, 20
"""Seconds of silence after which the kernel asks whether the server is there, and between two such questions."""

Heard = Callable[[bytes], object]


class Events:
    """Takes a body in whatever pieces, and tells each event's data, as the standard for server-sent events says."""

    def __init__(self, heard: Heard, limit: int) -> None:
        """`is_too_long`: an event has more than `limit` bytes; nothing more should be given to it."""
        self.is_too_long = False
        self._heard = heard
        self._limit = limit
        self._rest = b""
        self._data: list[bytes] = []

    def take(self, block: bytes) -> None:
        """Some more of the body."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            self._line(line.removesuffix(b"\r"))
        self.is_too_long = len(self._rest) + sum(map(len, self._data)) > self._limit

    def _line(self, line: bytes) -> None:
        if not line:
            data, self._data = self._data, []
            if data:
                self._heard(b"\n".join(data))
        elif line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))


class EventStream:
    """`listen` on one thread, `close` from any. Goes to the server itself, through no proxy."""

    def __init__(self, url: str, body: bytes, options: EasyOptions, limit: int) -> None:
        self._url = url
        self._body = body
        self._options = options
        self._limit = limit
        self._socket: socket.socket | None = None
        self._closed = False
        self._is_answer = False

    @property
    def answers(self) -> bool:
        """Whether the server has begun to answer."""
        return self._is_answer

    def listen(self, heard: Heard) -> None:
        """Ask, and tell each event's data until the server ends its answer or `close` is called.

        Raises TransferFailed where there is no such answer, or it breaks off. `heard` must not raise anything.
        """
        events = Events(heard, self._limit)
        curl = self._curl(events)
        try:
            curl.perform()
            status = curl.getinfo(pycurl.RESPONSE_CODE)
        except pycurl.error as error:
            if self._closed:
                return
            reason = f"an event of more than {self._limit} bytes" if events.is_too_long else error.args[1]
            raise TransferFailed(f"{self._url}: {reason}", Fault.BROKEN) from error
        finally:
            curl.close()
            if self._socket is not None:
                self._socket.close()
                self._socket = None
        if status != _OK:
            raise TransferFailed(f"{self._url}: HTTP status {status}", Fault.SERVER_ANSWER)

    def close(self) -> None:
        """Have `listen` return; for good."""
        self._closed = True
        connection = self._socket
        if connection is not None:
            with suppress(OSError):  # not connected yet, or no longer
                connection.shutdown(socket.SHUT_RDWR)

    def _curl(self, events: Events) -> pycurl.Curl:
        curl = _new_curl(self._url, self._body, self._options)

        def head(line: bytes) -> None:
            if line.startswith(b"HTTP/"):
                self._is_answer = line.split()[1:2] == [b"200"]

        def body(block: bytes) -> int | None:
            if self._is_answer and not self._closed:
                events.take(block)
            return -1 if events.is_too_long or self._closed else None

        curl.setopt(pycurl.CUSTOMREQUEST, "GET")
        curl.setopt(pycurl.HTTPHEADER, ["Accept: text/event-stream", _JSON])
        curl.setopt(pycurl.TCP_KEEPALIVE, 1)
        curl.setopt(pycurl.TCP_KEEPIDLE, _QUIET)
        curl.setopt(pycurl.TCP_KEEPINTVL, _BETWEEN)
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        curl.setopt(pycurl.HEADERFUNCTION, head)
        curl.setopt(pycurl.WRITEFUNCTION, body)
        return curl

    def _open(self, _purpose: int, address: tuple[int, int, int, object]) -> socket.socket | int:
        if self._closed:
            return int(pycurl.SOCKET_BAD)
        family, kind, protocol, _ = address
        self._socket, before = socket.socket(family, kind, protocol), self._socket
        if before is not None:  # another address did not answer
            before.close()
        return self._socket


def post(url: str, body: bytes, options: EasyOptions) -> bytes:
    """Send JSON, for the answer. TransferFailed where there is none, or it is an error."""
    answer = BytesIO()
    curl = _new_curl(url, body, options)
    curl.setopt(pycurl.HTTPHEADER, [_JSON])
    curl.setopt(pycurl.TIMEOUT_MS, _ANSWERING)
    curl.setopt(pycurl.WRITEFUNCTION, answer.write)
    try:
        curl.perform()
        status = curl.getinfo(pycurl.RESPONSE_CODE)
    except pycurl.error as error:
        raise TransferFailed(f"{url}: {error.args[1]}", Fault.BROKEN) from error
    finally:
        curl.close()
    if status != _OK:
        raise TransferFailed(f"{url}: HTTP status {status}", Fault.SERVER_ANSWER)
    return answer.getvalue()


def _new_curl(url: str, body: bytes, options: EasyOptions) -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.POSTFIELDS, body)
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.PROXY, "")  # "" and not unset: the environment has no say
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.USERAGENT, options.user_agent)
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, _CONNECTING)
    if options.ipv4_only:
        curl.setopt(pycurl.IPRESOLVE, pycurl.IPRESOLVE_V4)
    if options.ca_bundle is not None:
        curl.setopt(pycurl.CAINFO, options.ca_bundle)
    if options.ca_directory is not None:
        curl.setopt(pycurl.CAPATH, options.ca_directory)
    return curl
