"""Connections that stand open for small objects: plain HTTP/1.1, without libcurl, by whoever asks.

A small answer that one thread asks for and another takes costs more in waking them than in all the rest. So who has
nothing but small objects to ask for takes a line that stands, sends, and reads when something comes. Lines are opened
beside, before they are needed; where there is none, or anything unusual comes, libcurl does it (net.http).
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from swrepo.net.answers import Answer, Answers

log = logging.getLogger(__name__)

IDLE = 15.0
"""Seconds after which a line is not used any more: it may be dead without our having heard."""

MOST = 32
"""Lines to one server or proxy."""

_AT_A_TIME = 8
"""Lines to one peer that are being opened."""

_PAUSE = 5.0
"""Seconds for which no line is opened to who did not answer, or whose answers were none that are read here."""

_PATIENCE = 5.0
"""Seconds for connecting."""

_RECEIVE = 256 << 10


class Peer(NamedTuple):
    """Who is connected to: a server, or a proxy."""

    host: str
    port: int


class Target(NamedTuple):
    """How a server is asked over a line: whom to connect to, what goes before and behind the path in a request."""

    peer: Peer
    before: bytes
    behind: bytes


class Line:
    """One connection. For one thread at a time; `interrupt` from any."""

    __slots__ = ("_answers", "_socket", "idle_since", "peer")

    def __init__(self, peer: Peer, connected: socket.socket) -> None:
        self.peer = peer
        self.idle_since = 0.0
        self._socket = connected
        self._answers = Answers()
        connected.settimeout(0)
        with suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        """For who waits until something comes."""
        return self._socket.fileno()

    def send(self, requests: bytes) -> None:
        """Ask. OSError where the connection has ended, or does not take it all."""
        if self._socket.send(requests) != len(requests):
            raise BlockingIOError("the connection does not take a whole request")

    def receive(self, most: int) -> Answer | None:
        """The next answer, where all of it is here; see Answers.next. OSError, Unusual; never waits."""
        answer = None if self._answers.is_empty else self._answers.next(b"", most)
        while answer is None:
            try:
                data = self._socket.recv(_RECEIVE)
            except BlockingIOError:
                return None
            if not data:
                raise ConnectionError("the server closed the connection")
            answer = self._answers.next(data, most)
        return answer

    def interrupt(self) -> None:
        """Have whoever waits for it find that the connection has ended."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def __del__(self) -> None:
        self._socket.close()  # where nobody closed the client, as libcurl does

    @property
    def is_sound(self) -> bool:
        """Whether nothing has come that nobody asked for: the end of the connection, for one."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False


class Lines:
    """The lines of one client. Safe from any thread; `_lock` guards all of it, nothing is acquired under it."""

    def __init__(
        self,
        addresses: Callable[[str], Sequence[str]],
        *,
        user_agent: str,
        ipv4_only: bool = False,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`addresses`: those of a host that the system is not to be asked for; none where it is.

        `most`: lines to one peer.
        """
        self._most = min(most, MOST)
        self._addresses = addresses
        self._family = socket.AF_INET if ipv4_only else socket.AF_UNSPEC
        self._behind = f" HTTP/1.1\r\nHost: {{}}\r\nUser-Agent: {user_agent}\r\nAccept: */*\r\n\r\n"
        self._clock = clock
        self._lock = threading.Lock()
        self._targets: dict[tuple[str, str | None], Target | None] = {}
        self._idle: dict[Peer, list[Line]] = {}
        self._lent: set[Line] = set()
        self._opening: dict[Peer, int] = {}
        self._not_before: dict[Peer, float] = {}
        self._is_closed = False

    def target(self, server: str, proxy: str | None) -> Target | None:
        """How `server` is asked through `proxy`; None where libcurl has to do it: TLS, or a password."""
        try:
            return self._targets[server, proxy]
        except KeyError:
            found = self._targets[server, proxy] = _target(server, proxy, self._behind)
            return found

    def take(self, peer: Peer) -> Line | None:
        """A line that is free; None where there is none: then one is opened, for the next who asks. Give it back."""
        lost = 0
        while True:
            with self._lock:
                idle = self._idle.get(peer)
                line = idle.pop() if idle else None
                if line is not None:
                    self._lent.add(line)
            age = 0.0 if line is None else self._clock() - line.idle_since
            if line is not None and (age > IDLE or (age > 1.0 and not line.is_sound)):
                self.drop(line)
                lost += 1
                continue
            if lost or line is None:  # who begins to read again will want as many as before
                self.open_soon(peer, min(max(1, lost), _AT_A_TIME))
            return line

    def give_back(self, line: Line) -> None:
        """All that was asked for on it has come."""
        line.idle_since = self._clock()
        with self._lock:
            self._lent.discard(line)
            if not self._is_closed:
                self._idle.setdefault(line.peer, []).append(line)
                return
        line.close()

    def drop(self, line: Line, *, pause: bool = False) -> None:
        """It is of no use any more. `pause`: nor are others to this peer, for a while."""
        left: list[Line] = []
        with self._lock:
            self._lent.discard(line)
            if pause:
                self._not_before[line.peer] = self._clock() + _PAUSE
                left = self._idle.pop(line.peer, [])
        for one in (line, *left):
            one.close()

    def open_soon(self, peer: Peer, count: int = 1) -> None:
        """Open lines in the background, unless there are enough, or that has just failed."""
        with self._lock:
            under_way = self._opening.get(peer, 0)
            known = len(self._idle.get(peer, ())) + sum(line.peer == peer for line in self._lent)
            count = min(count, _AT_A_TIME - under_way, self._most - known - under_way)
            if self._is_closed or count <= 0 or self._clock() < self._not_before.get(peer, 0.0):
                return
            self._opening[peer] = under_way + count
        for _ in range(count):
            threading.Thread(target=self.open, args=(peer,), name="line", daemon=True).start()

    def close(self) -> None:
        """End all; who waits for an answer finds that the connection has ended."""
        with self._lock:
            self._is_closed = True
            idle = [line for lines in self._idle.values() for line in lines]
            self._idle.clear()
            lent = list(self._lent)
        for line in idle:
            line.close()
        for line in lent:
            line.interrupt()

    def forget(self) -> None:
        """In a child process: these are the parent's. To close them here ends none of them."""
        self._lock = threading.Lock()
        for line in (*(line for lines in self._idle.values() for line in lines), *self._lent):
            line.close()
        self._idle.clear()
        self._lent.clear()
        self._opening.clear()

    def open(self, peer: Peer) -> None:
        """Open a line, in the thread that calls; one that cannot be had is not tried again for a while."""
        line: Line | None = None
        try:
            line = Line(peer, self._connected(peer))
        except (OSError, UnicodeError) as error:
            log.debug("no line to %s: %s", peer, error)
        finally:
            with self._lock:
                self._opening[peer] = max(0, self._opening.get(peer, 0) - 1)
                if line is None:
                    self._not_before[peer] = self._clock() + _PAUSE
        if line is not None:
            self.give_back(line)

    def _connected(self, peer: Peer) -> socket.socket:
        """A connection to one of the addresses of a peer. OSError."""
        last: OSError | None = None
        for host in self._addresses(peer.host) or (peer.host,):
            for family, kind, protocol, _, address in socket.getaddrinfo(
                host, peer.port, self._family, socket.SOCK_STREAM
            ):
                connecting = socket.socket(family, kind, protocol)
                try:
                    connecting.settimeout(_PATIENCE)
                    connecting.connect(address)
                except OSError as error:
                    connecting.close()
                    last = error
                else:
                    return connecting
        raise last or OSError(f"no address of {peer.host}")


def _target(server: str, proxy: str | None, behind: str) -> Target | None:
    at = urlsplit(server)
    over = at if proxy is None else urlsplit(proxy)
    try:
        peer = Peer(over.hostname or "", over.port or 80)
        plain = at.scheme == over.scheme == "http" and "@" not in at.netloc + over.netloc and bool(peer.host)
        if not plain or (over.path not in ("", "/") and proxy is not None) or at.query or at.fragment:
            return None
        before = f"GET {server if proxy is not None else at.path}/"
        return Target(peer, before.encode("ascii"), behind.format(at.netloc).encode("ascii"))
    except ValueError:  # a port that is none, or a name that is not ASCII
        return None
