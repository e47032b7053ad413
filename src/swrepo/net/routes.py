"""Which server to ask, and through which proxy: fail-over as a state machine that does no I/O.

Servers are used in order. Proxies come in groups: within a group the load is spread by chance, and the next group is
for when the whole of one has failed. Whoever finds a route broken reports it; the route changes for everybody, but only
if it is still the one in use (many requests fail at once when a server dies). After a while the first choice is tried
again. Source: format.md 11, "Fail-over classes".
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from swrepo.errors import ConfigError
from swrepo.net.faults import Fault

ProxyGroups = tuple[tuple[str | None, ...], ...]
"""Groups in order of use; None is DIRECT."""

DIRECT: ProxyGroups = ((None,),)

_ALWAYS_PROXY = frozenset({Fault.PROXY_NAME, Fault.PROXY_ANSWER})
_NOBODY = frozenset({Fault.MISSING, Fault.CANCELLED})


@dataclass(frozen=True, slots=True)
class Route:
    """One way to a repository: its URL at a server, and the proxy in between (None: direct)."""

    server: str
    proxy: str | None = None

    def __str__(self) -> str:
        return self.server if self.proxy is None else f"{self.server} through proxy {self.proxy}"


def blames_proxy(route: Route, fault: Fault) -> bool:
    """Whether a failed try speaks against the route's proxy; else it speaks against the server."""
    return fault in _ALWAYS_PROXY or (fault is Fault.BROKEN and route.proxy is not None)


def parse_proxies(text: str) -> ProxyGroups:
    """Read `http://a:3128|http://b:3128;DIRECT`: groups by `;`, members by `|`. ConfigError where there is none."""
    groups = tuple(
        members
        for group in text.split(";")
        if (members := tuple(_proxy(name.strip()) for name in group.split("|") if name.strip()))
    )
    if not groups:
        raise ConfigError(f"no proxy in {text!r}: write DIRECT for none, or http://HOST:PORT (`|`, `;` between)")
    return groups


class Routes:
    """The route in use. Safe from any thread (`_lock` guards all of the state; nothing is acquired under it)."""

    def __init__(
        self,
        servers: Sequence[str],
        proxies: ProxyGroups = DIRECT,
        *,
        clock: Callable[[], float] = time.monotonic,
        pick: Callable[[Sequence[str | None]], str | None] = random.choice,
        server_reset: float = 1800.0,
        proxy_reset: float = 300.0,
    ) -> None:
        """`servers` are repository URLs. After `..._reset` seconds on a second choice, the first is tried again."""
        if not servers or not all(proxies) or not proxies:
            raise ConfigError("no server to ask: give at least one URL, and a proxy or DIRECT")
        self._servers = tuple(server.rstrip("/") for server in servers)
        self._proxies = proxies
        self._clock, self._pick = clock, pick
        self._server_reset, self._proxy_reset = server_reset, proxy_reset
        self._lock = threading.Lock()
        self._server = 0
        self._server_since = self._proxy_since = 0.0
        self._group, self._burned = 0, set[str | None]()
        self._proxy = self._pick(proxies[0])

    @property
    def servers(self) -> tuple[str, ...]:
        return self._servers

    def current(self) -> Route:
        """The route in use, after going back to the first choice if it is time."""
        with self._lock:
            self._go_back()
            return Route(self._servers[self._server], self._proxy)

    def order(self) -> Iterator[Route]:
        """Every route once, the one in use first: the order in which one request tries them."""
        with self._lock:
            self._go_back()
            first = self._servers[self._server]
            others = (*self._servers[self._server + 1 :], *self._servers[: self._server])
            following = [proxy for group in self._proxies[self._group :] for proxy in group]
            near = [self._proxy, *(proxy for proxy in following if proxy != self._proxy and proxy not in self._burned)]
        everyone = [proxy for group in self._proxies for proxy in group]
        routes = [Route(first, proxy) for proxy in near]
        routes += [Route(server, proxy) for server in others for proxy in everyone]
        routes += [Route(first, proxy) for proxy in everyone if proxy not in near]
        return iter(dict.fromkeys(routes))

    def failed(self, route: Route, fault: Fault) -> None:
        """A try over `route` failed: leave it, if it is still the one in use."""
        if fault in _NOBODY:
            return
        with self._lock:
            if route.server != self._servers[self._server]:
                return
            if not blames_proxy(route, fault):
                self._use_server(self._server + 1)
            elif route.proxy == self._proxy:
                self._burn(route.proxy)

    def had_it(self, route: Route, missing: set[str]) -> None:
        """`route` delivered what the servers in `missing` lack: if one of these is in use, it is behind; leave it."""
        with self._lock:
            if self._servers[self._server] in missing and route.server in self._servers:
                self._use_server(self._servers.index(route.server))

    def next_server(self, distrusted: str) -> bool:
        """Leave the server at `distrusted` because of *what* it answered; False where there is no other."""
        with self._lock:
            if len(self._servers) > 1 and self._servers[self._server] == distrusted.rstrip("/"):
                self._use_server(self._server + 1)
            return len(self._servers) > 1

    # -- under the lock --

    def _go_back(self) -> None:
        now = self._clock()
        if self._server and now - self._server_since >= self._server_reset:
            self._server = 0
        if (self._group or self._burned) and now - self._proxy_since >= self._proxy_reset:
            self._reset_proxies()

    def _use_server(self, index: int) -> None:
        self._server = index % len(self._servers)
        self._server_since = self._clock()

    def _burn(self, proxy: str | None) -> None:
        self._burned.add(proxy)
        self._proxy_since = self._clock()
        for index in range(self._group, len(self._proxies)):
            left = [candidate for candidate in self._proxies[index] if candidate not in self._burned]
            if left:
                self._group, self._proxy = index, self._pick(left)
                return
        self._reset_proxies()
        self._use_server(self._server + 1)

    def _reset_proxies(self) -> None:
        self._group, self._burned = 0, set()
        self._proxy = self._pick(self._proxies[0])


def _proxy(name: str) -> str | None:
    if name.upper() == "DIRECT":
        return None
    if name.lower() == "auto":
        raise ConfigError("proxy `auto` (WPAD) is not supported: write http://HOST:PORT or DIRECT")
    return name if "://" in name else f"http://{name}"
