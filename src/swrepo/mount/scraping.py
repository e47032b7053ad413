"""Metrics over HTTP, on a port or a Unix socket: one answer at a time, for who collects them every few seconds."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from swrepo.errors import ConfigError, MountFailed
from swrepo.system.openmetrics import CONTENT_TYPE

log = logging.getLogger(__name__)

_LONGEST_REQUEST = 8192
_PATIENCE = 3.0
"""Seconds that one client has for its request and for taking the answer: those after it wait meanwhile."""

_BACKLOG = 16
_PORTS = 65536


class Scraping:
    """Answers `GET /metrics` (and `/`) on `address`, HOST:PORT or a path, until it is closed."""

    def __init__(self, address: str, text: Callable[[], str]) -> None:
        """ConfigError where it is no address; MountFailed where nothing can listen there."""
        self._text = text
        self._path = Path(address) if address.startswith("/") else None
        try:
            self._socket = _listening(address) if self._path is None else _listening_at(self._path)
        except OSError as error:
            raise MountFailed(f"no metrics at {address}: {error.strerror or error}") from error
        threading.Thread(target=self._serve, name="metrics", daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens; 0 for a Unix socket."""
        return 0 if self._path is not None else int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Stop listening."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        line = _request_line(connection)
        words = line.split()
        if len(words) < 2 or words[0] not in ("GET", "HEAD"):  # a method and a path
            status, kind, body = "405 Method Not Allowed", "text/plain", "only GET\n"
        elif words[1].partition("?")[0] not in ("/metrics", "/"):
            status, kind, body = "404 Not Found", "text/plain", "there is /metrics\n"
        else:
            status, kind, body = self._metrics()
        data = body.encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        connection.settimeout(_PATIENCE)
        connection.sendall(head.encode() + (b"" if line.startswith("HEAD") else data))

    def _metrics(self) -> tuple[str, str, str]:
        try:
            return "200 OK", CONTENT_TYPE, self._text()
        except Exception:
            log.exception("the metrics could not be put together")
            return "500 Internal Server Error", "text/plain", "see the log\n"


def _request_line(connection: socket.socket) -> str:
    """The first line of a request, all of whose head came in time; empty otherwise."""
    end = time.monotonic() + _PATIENCE
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        connection.settimeout(max(0.01, end - time.monotonic()))
        piece = connection.recv(_LONGEST_REQUEST)
        head += piece
        if not piece or len(head) > _LONGEST_REQUEST or time.monotonic() > end:
            return ""
    return head.split(b"\n", 1)[0].decode("latin-1").strip()


def _listening(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) >= _PORTS:
        raise ConfigError(f"{address!r} is no place for metrics: write HOST:PORT, or the path of a socket")
    family, _, _, _, target = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    return socket.create_server(target[:2], family=family, backlog=_BACKLOG)


def _listening_at(path: Path) -> socket.socket:
    """Takes the place of a socket that nobody answers on."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _is_alive(path):
            path.unlink(missing_ok=True)
        listening.bind(os.fspath(path))
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(os.fspath(path))
        except OSError:
            return False
        return True
