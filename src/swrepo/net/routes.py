"""Which server to ask, and through which proxy: fail-over as a state machine that does no I/O.

Servers are used in order. Proxies come in groups: within a group the load is spread by chance, or by what is asked for
(sharding), and the next group is for when the whole of one has failed. Whoever finds a route broken reports it; the
route changes for everybody, but only if it is still the one in use (many requests fail at once when a server dies).
After a while the first choice is tried again. Source: format.md 11, "Fail-over classes".
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from swrepo.errors import ConfigError
from swrepo.net.faults import Fault

ProxyGroups = tuple[tuple[str | None, ...], ...]
"""Groups in order of use; None is DIRECT."""

DIRECT: ProxyGroups = ((None,),)
AUTO = "auto"
"""A proxy of that name stands for those that a PAC file says; see net.pac."""

_ALWAYS_PROXY = frozenset({Fault.PROXY_NAME, Fault.PROXY_ANSWER})
_NOBODY = frozenset({Fault.MISSING, Fault.CANCELLED})


@dataclass(frozen=True, slots=True)
class Route:
    """One way to a repository: its URL at a server, and the proxy in between (None: direct).

    `address`: which of the server's addresses is connected to; None where any will do.
    """

    server: str
    proxy: str | None = None
    address: str | None = None

    def __str__(self) -> str:
        if self.proxy is not None:
            return f"{self.server} through proxy {self.proxy}"
        return self.server if self.address is None else f"{self.server} at {self.address}"


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
        shard: bool = False,
    ) -> None:
        """`servers` are repository URLs. After `..._reset` seconds on a second choice, the first is tried again.

        With `shard`, what is asked for decides on the proxy of a group, so that each holds a part of everything.
        """
        _check(servers, proxies)
        self._servers = tuple(server.rstrip("/") for server in servers)
        self._proxies = proxies
        self._shard = shard
        self._addresses: dict[str, tuple[str, float]] = {}
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

    @property
    def proxies(self) -> ProxyGroups:
        return self._proxies

    def set_servers(self, servers: Sequence[str]) -> None:
        """Use these from now on, the first of them first."""
        _check(servers, self._proxies)
        with self._lock:
            self._servers = tuple(server.rstrip("/") for server in servers)
            self._server = 0

    def set_proxies(self, proxies: ProxyGroups) -> None:
        """Use these from now on; the one in use stays so, and what failed is left out, if they are among them."""
        _check(self._servers, proxies)
        with self._lock:
            if proxies == self._proxies:
                return
            self._proxies = proxies
            members = {proxy for group in proxies for proxy in group}
            self._burned &= members
            if self._proxy not in members or self._group >= len(proxies) or self._proxy not in proxies[self._group]:
                self._reset_proxies()

    def current(self, key: str = "") -> Route:
        """The route in use for `key`, after going back to the first choice if it is time."""
        with self._lock:
            self._go_back()
            server, proxy = self._servers[self._server], self._proxy_for(key)
            return Route(server, proxy, self._address(server) if proxy is None else None)

    def order(self, key: str = "") -> Iterator[Route]:
        """Every route once, the one in use first: the order in which one request for `key` tries them."""
        with self._lock:
            self._go_back()
            first = self._servers[self._server]
            others = (*self._servers[self._server + 1 :], *self._servers[: self._server])
            following = [proxy for group in self._proxies[self._group :] for proxy in self._ranked(group, key)]
            chosen = self._proxy_for(key)
            near = [chosen, *(proxy for proxy in following if proxy != chosen and proxy not in self._burned)]
            address = self._address(first)
        everyone = [proxy for group in self._proxies for proxy in self._ranked(group, key)]
        pinned = [Route(first, None, address)] if address is not None and chosen is None else []
        routes = pinned + [Route(first, proxy) for proxy in near]
        routes += [Route(server, proxy) for server in others for proxy in everyone]
        routes += [Route(first, proxy) for proxy in everyone if proxy not in near]
        return iter(dict.fromkeys(routes))

    def in_use(self, route: Route) -> bool:
        """Whether nobody has left `route` since it was given out."""
        with self._lock:
            if route.server != self._servers[self._server]:
                return False
            return route.proxy == self._proxy or (self._shard and route.proxy in self._left(self._group))

    def failed(self, route: Route, fault: Fault) -> None:
        """A try over `route` failed: leave it, if it is still the one in use."""
        if fault in _NOBODY:
            return
        with self._lock:
            if route.server != self._servers[self._server]:
                return
            if not blames_proxy(route, fault):
                self._use_server(self._server + 1)
            elif route.proxy == self._proxy or (self._shard and route.proxy in self._left(self._group)):
                self._burn(route.proxy)

    def reached(self, server: str, address: str) -> None:
        """Of the server's addresses this one answered when another did not: connect to it for a while."""
        with self._lock:
            self._addresses[server] = (address, self._clock())

    def address_failed(self, server: str, address: str) -> None:
        """Any of the server's addresses will do again."""
        with self._lock:
            if self._addresses.get(server, ("",))[0] == address:
                del self._addresses[server]

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

    def rebalance(self) -> None:
        """Use some proxy of the group in use, by chance; those that failed are tried again."""
        with self._lock:
            self._burned -= set(self._proxies[self._group])
            self._proxy = self._pick(self._proxies[self._group])

    def next_group(self) -> None:
        """Use the next group of proxies; after the last the first."""
        with self._lock:
            self._group = (self._group + 1) % len(self._proxies)
            self._burned -= set(self._proxies[self._group])
            self._proxy = self._pick(self._proxies[self._group])
            self._proxy_since = self._clock()

    @property
    def group(self) -> int:
        """Which group of proxies is in use."""
        return self._group

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
            left = self._left(index)
            if left:
                self._group = index
                if self._proxy not in left:
                    self._proxy = self._pick(left)
                return
        self._reset_proxies()
        self._use_server(self._server + 1)

    def _left(self, group: int) -> list[str | None]:
        return [proxy for proxy in self._proxies[group] if proxy not in self._burned]

    def _reset_proxies(self) -> None:
        self._group, self._burned = 0, set()
        self._proxy = self._pick(self._proxies[0])

    def _proxy_for(self, key: str) -> str | None:
        if not self._shard or not key:
            return self._proxy
        return self._ranked(self._left(self._group), key)[0]

    def _ranked(self, group: Iterable[str | None], key: str) -> list[str | None]:
        """The group, for sharding in the order that `key` gives it.

        Each proxy draws a number for the key and the highest wins: when one fails, only what it had moves.
        """
        return sorted(group, key=lambda proxy: _draw(proxy, key), reverse=True) if self._shard and key else list(group)

    def _address(self, server: str) -> str | None:
        address, since = self._addresses.get(server, (None, 0.0))
        if address is not None and self._clock() - since >= self._proxy_reset:
            del self._addresses[server]
            return None
        return address


def _check(servers: Sequence[str], proxies: ProxyGroups) -> None:
    if not servers or not all(proxies) or not proxies:
        raise ConfigError("no server to ask: give at least one URL, and a proxy or DIRECT")


def _draw(proxy: str | None, key: str) -> bytes:
    return blake2b(f"{proxy or ''} {key}".encode(), digest_size=8).digest()


def _proxy(name: str) -> str | None:
    if name.upper() == "DIRECT":
        return None
    if name.lower() == AUTO:
        return AUTO
    return name if "://" in name else f"http://{name}"
