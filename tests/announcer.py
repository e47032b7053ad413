"""A notification server as CernVM-FS's gateway is one: tells each subscriber what is published, and the last at once."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from swrepo.format.announcement import Announcement

_THE_END = b""


class Announcer:
    """`url` is what a client gets as CVMFS_NOTIFICATION_SERVER."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.published: list[Announcement] = []
        self._last: dict[str, bytes] = {}
        self._first: tuple[bytes, ...] = ()
        self._listening: dict[queue.Queue, str] = {}
        self._changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/api/v1"

    @property
    def listeners(self) -> int:
        return len(self._listening)

    def start(self) -> None:
        """Answer, on the port of before."""
        announcer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                announcer.asked.append({"path": self.path, **asked})
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                self.wfile.flush()
                for message in announcer._messages(asked["repository"]):
                    self.wfile.write(b"data: " + message + b"\n\n")
                    self.wfile.flush()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                announcer.published.append(Announcement.parse(body))
                announcer.tell(json.loads(body)["repository"], body)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'{"status":"ok"}')

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """End all subscriptions, forget everything and answer nobody any more."""
        with self._changed:
            self._last = {}
            for listener in self._listening:
                listener.put(_THE_END)
            while self._listening:
                self._changed.wait(20)
        self._server.shutdown()
        self._server.server_close()

    def tell(self, fqrn: str, message: bytes) -> None:
        """To each who listens, and to those who come later."""
        with self._changed:
            self._last[fqrn] = message
            for listener, wanted in self._listening.items():
                if wanted == fqrn:
                    listener.put(message)

    def remember(self, *messages: bytes) -> None:
        """Whoever comes is told these first."""
        self._first = messages

    def _messages(self, fqrn: str) -> Iterator[bytes]:
        mine: queue.Queue = queue.Queue()
        with self._changed:
            self._listening[mine] = fqrn
            for message in self._first:
                mine.put(message)
            if fqrn in self._last:
                mine.put(self._last[fqrn])
        try:
            while (message := mine.get()) != _THE_END:
                yield message
        finally:
            with self._changed:
                del self._listening[mine]
                self._changed.notify_all()


@contextmanager
def announcing() -> Iterator[Announcer]:
    announcer = Announcer()
    try:
        yield announcer
    finally:
        announcer.stop()
