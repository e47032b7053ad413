"""One GET: `HttpClient.stream(url)` from any thread, answered by one network thread that runs libcurl.

Not here: which server or proxy to ask, and what to do when one fails (net.routes, net.remote).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from swrepo import __version__
from swrepo.net.batch import Batch
from swrepo.net.easy import EasyOptions, host_and_port
from swrepo.net.faults import Fault, TransferFailed
from swrepo.net.lines import Line, Lines
from swrepo.net.loop import NetworkThread
from swrepo.net.names import Names
from swrepo.net.transfer import Request, Transfer

NO_CACHE = ("Pragma: no-cache", "Cache-Control: no-cache")
_BATCHES = 4
"""Threads that run batches at a time where many do: each of them gets that part of the connections."""

_CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for connecting, and for which a transfer may stay below `low_speed` bytes/s (rounded up)."""

    direct: float = 10.0
    proxied: float = 5.0
    low_speed: int = 1024


@dataclass(frozen=True, slots=True)
class Authorities:
    """Who vouches for https servers: a file of certificates, a directory (by their hashes), or the system's."""

    bundle: str | None = None
    directory: str | None = None


SYSTEM = Authorities()


class Response:
    """Status, headers and the bytes of the body as they arrive; to be read by one thread, and closed."""

    __slots__ = ("_transfer", "headers", "status")

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self.status = transfer.status
        self.headers = _parse_head(transfer.lines)

    @property
    def url(self) -> str:
        return self._transfer.request.url

    @property
    def blocks(self) -> Iterator[bytes]:
        """The body. Raises TransferFailed where it breaks off."""
        while block := self._transfer.take():
            yield block

    def close(self) -> None:
        """Drop what has not arrived yet."""
        self._transfer.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class HttpClient:
    """GETs over kept-alive connections (HTTP/1.1; HTTP/2 over TLS), `connections` per server or proxy at most.

    Batches have as many again, so that they hold up nobody who waits for one answer.

    Safe for any number of threads. The network thread starts with the first request; after a fork the child starts its
    own. Redirects are followed only where `max_redirects` allows it.
    """

    def __init__(
        self,
        *,
        timeouts: Timeouts = Timeouts(),
        connections: int = 64,
        max_redirects: int = 0,
        user_agent: str = f"cvmfs swrepo {__version__}",
        authorities: Authorities = SYSTEM,
        ipv4_only: bool = False,
        names: Names | None = None,
        headers: Callable[[str], tuple[str, ...]] | None = None,
    ) -> None:
        """`names`: who is asked for servers. `headers`: what goes with the request for a URL, in complete lines."""
        self._names = names if names is not None and names.asks_own_server else None
        self._headers = headers
        self._timeouts = timeouts
        self._connections = connections
        bundle = authorities.bundle or (find_ca_bundle() if authorities == SYSTEM else None)
        self._options = EasyOptions(user_agent, bundle, max_redirects, ipv4_only, authorities.directory)
        self.lines = Lines(self._known_already, user_agent=user_agent, ipv4_only=ipv4_only, most=connections)
        """Of small objects, asked for by whoever wants them."""
        self._lock = threading.Lock()
        self._thread: NetworkThread | None = None
        self._closed = False
        self._batches: list[Batch] = []
        """Those that nobody uses at the moment."""
        self._of_parents: list[NetworkThread | list[Batch]] = []
        if hasattr(os, "register_at_fork"):  # a system that cannot fork has no children to care for
            os.register_at_fork(after_in_child=_weak_call(self))

    def start(
        self,
        url: str,
        proxy: str | None = None,
        *,
        headers: tuple[str, ...] = (),
        keep_head: bool = True,
        fresh: bool = False,
        address: str | None = None,
    ) -> Transfer:
        """Begin a GET and return at once. `Transfer.cancel` ends it from any thread. `fresh`, `address`: see Request.

        TransferFailed where the server's name cannot be found.
        """
        thread = self._thread
        if thread is None or thread.has_ended:
            thread = self._start_thread()
        request = self._request(url, proxy, headers=headers, keep_head=keep_head, fresh=fresh, address=address)
        transfer = Transfer(request, thread.attend)
        thread.attend(transfer)
        return transfer

    def ask(self, server: str, path: str, proxy: str | None) -> Line | None:
        """GET `path` of `server` over one of `lines`, and return at once; None where that cannot be done now."""
        target = None if self._headers is not None else self.lines.target(server, proxy)
        line = None if target is None else self.lines.take(target.peer)
        if target is None or line is None:
            return None
        try:
            line.send(target.before + path.encode("ascii") + target.behind)
        except OSError:
            self.lines.drop(line)
            return None
        return line

    def make_ready(self, server: str, proxy: str | None, count: int) -> None:
        """Open so many of `lines` in the background, all at once; none where libcurl does all."""
        target = None if self._headers is not None else self.lines.target(server, proxy)
        if target is not None:
            self.lines.open_soon(target.peer, count)

    def run(self, targets: Sequence[tuple[str, str | None]]) -> Iterator[tuple[int, Transfer]]:
        """GETs of (URL, proxy) by the thread that calls, a few at a time: see `Batch.run`."""
        try:
            batch = self._batches.pop()  # the one that was used last, whoever did: its connections stand
        except IndexError:
            batch = Batch(self._options, max(1, self._connections // _BATCHES))
        try:
            yield from batch.run([self._request(url, proxy, keep_head=False) for url, proxy in targets])
        finally:
            self._batches.append(batch)

    @property
    def timeouts(self) -> Timeouts:
        """Of the requests that begin from now on; may be set."""
        return self._timeouts

    @timeouts.setter
    def timeouts(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts

    def _request(
        self,
        url: str,
        proxy: str | None,
        *,
        headers: tuple[str, ...] = (),
        keep_head: bool = True,
        fresh: bool = False,
        address: str | None = None,
    ) -> Request:
        timeout = self._timeouts.direct if proxy is None else self._timeouts.proxied
        if self._headers is not None:
            headers = (*headers, *self._headers(url))
        known = self._known(url) if self._names is not None and proxy is None else ()
        return Request(url, proxy, headers, timeout, self._timeouts.low_speed, keep_head, fresh, address, known)

    def stream(
        self, url: str, proxy: str | None = None, *, headers: tuple[str, ...] = (), keep_head: bool = True
    ) -> Response:
        """GET `url` and wait for the answer's head. Raises TransferFailed (an Unreachable); no status is an error.

        Who does without the response's headers (`keep_head`) saves a fifth of the time of a small one.
        """
        transfer = self.start(url, proxy, headers=headers, keep_head=keep_head)
        transfer.wait()
        return Response(transfer)

    def close(self) -> None:
        """End the network thread; requests that wait fail with TransferFailed."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        self.lines.close()
        if thread is not None:
            thread.close()

    def _known(self, url: str) -> tuple[str, ...]:
        assert self._names is not None  # noqa: S101 - its caller looked
        host, _ = host_and_port(url)
        found = self._names.addresses(host)
        if not found:
            raise TransferFailed(f"{url}: the name server knows no address of {host}", Fault.SERVER_NAME)
        return found

    def _known_already(self, host: str) -> tuple[str, ...]:
        return () if self._names is None else self._names.addresses(host)

    def _start_thread(self) -> NetworkThread:
        with self._lock:
            if self._closed:
                raise TransferFailed("the HTTP client was closed", Fault.CANCELLED)
            if self._thread is None or self._thread.has_ended:
                self._thread = NetworkThread(self._options, self._connections)
            return self._thread

    def _forget_parent(self) -> None:
        """In a child process: the thread is gone, and its connections belong to the parent.

        The handles are kept unused, because freeing them would say goodbye on the parent's connections.
        """
        self._lock = threading.Lock()
        self._of_parents.append(self._batches)
        self._batches = []
        self.lines.forget()
        if self._thread is not None:
            self._of_parents.append(self._thread)
            self._thread = None


class _weak_call:  # noqa: N801 - a function with a weak reference
    """Calls `_forget_parent` of a client that still exists."""

    def __init__(self, client: HttpClient) -> None:
        self._client = weakref.ref(client)

    def __call__(self) -> None:
        client = self._client()
        if client is not None:
            client._forget_parent()  # noqa: SLF001 - the same module


def find_ca_bundle() -> str | None:
    """The file of the authorities that this system trusts; None where libcurl has to know."""
    return next((path for path in _CA_BUNDLES if os.path.exists(path)), None)


def _parse_head(lines: list[bytes]) -> Mapping[str, str]:
    """Headers (names in lower case) of the last head: interim and redirecting ones come before it."""
    headers: dict[str, str] = {}
    for line in lines:
        if line.startswith(b"HTTP/"):
            headers = {}
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            name = name.strip().lower()
            headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return headers
