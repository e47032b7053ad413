"""An HTTP server on loopback that misbehaves on request, driven by events: nothing in here waits for time to pass.

    with FaultServer({"/x": b"content"}) as server:
        server.next("/x", truncated(3), status(500))      # the first two answers; from then on the truth

A test reads `server.requests` to see who asked for what, and how.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True)
class Asked:
    """One request: the target as it was sent, and its headers (names in lower case)."""

    target: str
    headers: Mapping[str, str]


@dataclass
class Exchange:
    """A request that is being answered: the connection, what the truth would be, and an event that ends a stall."""

    connection: socket.socket
    content: bytes | None
    stopping: threading.Event
    asked: Asked
    keep_alive: bool = field(default=True)

    def head(self, code: int, headers: Mapping[str, str]) -> None:
        lines = [
            f"HTTP/1.1 {code} {REASONS.get(code, 'Whatever')}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode())


Behaviour = Callable[[Exchange], None]


def truth(exchange: Exchange) -> None:
    """200 and the content, or 404."""
    if exchange.content is None:
        status(404)(exchange)
        return
    exchange.head(200, {"Content-Length": str(len(exchange.content))})
    exchange.connection.sendall(exchange.content)


def status(code: int, headers: Mapping[str, str] | None = None, body: bytes = b"an error page") -> Behaviour:
    """A complete answer with that status."""

    def answer(exchange: Exchange) -> None:
        exchange.head(code, {"Content-Length": str(len(body)), **(headers or {})})
        exchange.connection.sendall(body)

    return answer


def instead(content: bytes) -> Behaviour:
    """200 with other content."""
    return status(200, body=content)


def truncated(length: int) -> Behaviour:
    """The whole content is announced, `length` bytes come, the connection ends."""

    def answer(exchange: Exchange) -> None:
        content = exchange.content or b""
        exchange.head(200, {"Content-Length": str(len(content))})
        exchange.connection.sendall(content[:length])
        exchange.keep_alive = False

    return answer


def unannounced(exchange: Exchange) -> None:
    """The whole content without its length: the end of the connection ends it."""
    exchange.head(200, {"Connection": "close"})
    exchange.connection.sendall(exchange.content or b"")
    exchange.keep_alive = False


def stalled(length: int) -> Behaviour:
    """The head and `length` bytes come; then nothing, until the server stops."""

    def answer(exchange: Exchange) -> None:
        content = exchange.content or b""
        exchange.head(200, {"Content-Length": str(len(content))})
        exchange.connection.sendall(content[:length])
        exchange.stopping.wait()
        exchange.keep_alive = False

    return answer


def dripping(pieces: int, pause: float) -> Behaviour:
    """The whole content, in pieces with a pause of so many seconds before each."""

    def answer(exchange: Exchange) -> None:
        content = exchange.content or b""
        exchange.head(200, {"Content-Length": str(len(content))})
        size = -(-len(content) // pieces)
        for start in range(0, len(content), size):
            exchange.stopping.wait(pause)
            exchange.connection.sendall(content[start : start + size])

    return answer


def held(until: threading.Event) -> Behaviour:
    """The truth, once `until` is set."""

    def answer(exchange: Exchange) -> None:
        while not until.wait(0.05) and not exchange.stopping.is_set():
            pass
        truth(exchange)

    return answer


def on_objects(behaviour: Behaviour) -> Behaviour:
    """That behaviour for objects, the truth for documents."""

    def answer(exchange: Exchange) -> None:
        (behaviour if "/data/" in exchange.asked.target else truth)(exchange)

    return answer


def silent(exchange: Exchange) -> None:
    """Not a byte comes, until the server stops."""
    exchange.stopping.wait()
    exchange.keep_alive = False


def reset(exchange: Exchange) -> None:
    """The connection is torn down with an error."""
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.keep_alive = False


def not_http(exchange: Exchange) -> None:
    """Something that speaks another protocol."""
    exchange.connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    exchange.keep_alive = False


class FaultServer:
    """Answers on `url` with the truth about `contents` (path -> bytes), except where told otherwise."""

    def __init__(
        self, contents: Mapping[str, bytes] | Callable[[str], bytes | None], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._look_up = contents if callable(contents) else contents.get
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=self._family, backlog=256)
        name = f"[{host}]" if ":" in host else host
        self.address = (host, self._listener.getsockname()[1])
        self.url = f"http://{name}:{self.address[1]}"
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # guards what follows
        self._next: dict[str, deque[Behaviour]] = defaultdict(deque)
        self._always: Behaviour | None = None
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.requests: list[Asked] = []
        self.connections = 0
        self._accepting = threading.Thread(target=self._accept, name="fault-server", daemon=True)
        self._accepting.start()

    def next(self, path: str, *behaviours: Behaviour) -> None:
        """The next answers for `path`, in order."""
        with self._lock:
            self._next[path].extend(behaviours)

    def always(self, behaviour: Behaviour | None) -> None:
        """Every answer that `next` does not decide; None for the truth."""
        self._always = behaviour

    def count(self, path: str) -> int:
        """How often `path` was asked for."""
        with self._lock:
            return sum(asked.target == path for asked in self.requests)

    def close(self) -> None:
        """End every connection and stall."""
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), name="fault-connection", daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            keep_alive = True
            while keep_alive and not self._stopping.is_set() and (first := stream.readline()):
                headers = {}
                while (line := stream.readline()).strip():
                    name, _, value = line.decode("latin-1").partition(":")
                    headers[name.lower()] = value.strip()
                keep_alive = self._answer(connection, Asked(first.split()[1].decode("latin-1"), headers))
        with self._lock:
            self._open.discard(connection)

    def _answer(self, connection: socket.socket, asked: Asked) -> bool:
        with self._lock:
            self.requests.append(asked)
            queue = self._next[asked.target]
            behaviour = queue.popleft() if queue else self._always or truth
        exchange = Exchange(connection, self._look_up(asked.target), self._stopping, asked)
        behaviour(exchange)
        return exchange.keep_alive


@contextmanager
def refusing() -> Iterator[str]:
    """A URL where connections are refused, as long as the `with` lasts."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


@contextmanager
def swallowing() -> Iterator[str]:
    """A URL where connections are neither taken nor refused: the queue of those that wait is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
