"""One request's way over the routes: what to try next after each failure, until something answers or nothing is left.

No I/O, no clock: net.remote asks it, tries, and tells it. Each step excludes a server, or a proxy for one server, or
uses up a retry, so every walk ends; and none goes on for longer than its limit when nothing is heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from swrepo.net.faults import Fault
from swrepo.net.routes import Route, Routes, blames_proxy

_RETRIED = frozenset({Fault.BROKEN, Fault.BUSY})


@dataclass(frozen=True, slots=True)
class Step:
    """A try to make: the route, whether past all caches, and the number of the retry to pause for (0: none).

    `fresh`: not over a connection that was idle.
    """

    route: Route
    no_cache: bool = False
    back_off: int = 0
    fresh: bool = False


class Walk:
    """State of one request. `tries` are sentences; used by one thread.

    `heard`: when bytes last came that may be part of the answer; at first, when the walk began.
    """

    def __init__(
        self, routes: Routes, max_retries: int, limit: float = inf, now: float = 0.0, *, key: str = ""
    ) -> None:
        """`limit`: seconds for which nothing is heard, after which no further try is made. `key`: what is asked for."""
        self.heard = now
        self._key = key
        self._limit = limit
        self._routes = routes
        self._retries_left = max_retries
        self._retried = 0
        self._repeat: Step | None = None
        self._servers_out: set[str] = set()
        self._routes_out: set[Route] = set()
        self._addresses_out: set[tuple[str, str]] = set()
        self._was_in_use = False
        self.tries: list[str] = []
        self.timeouts = 0  # how many of them ended because nothing came
        self.missing: set[str] = set()

    def next(self, now: float = 0.0) -> Step | None:
        """The next try; None when there is nothing left."""
        if now - self.heard > self._limit:
            self.tries.append(f"nothing was heard for {now - self.heard:.0f} seconds, so no other way was tried")
            return None
        repeat, self._repeat = self._repeat, None
        step = repeat or next((Step(route) for route in self._routes.order(self._key) if self._is_open(route)), None)
        self._was_in_use = step is not None and self._routes.in_use(step.route)
        return step

    def failed(self, step: Step, fault: Fault, sentence: str, addresses: Sequence[str] = ()) -> None:
        """The try failed, in this way. `addresses`: the server's, the one that was connected to first."""
        self.tries.append(sentence)
        if fault is Fault.MISSING:
            self.missing.add(step.route.server)
        other = self._other_address(step.route, addresses) if fault is Fault.BROKEN else None
        if other is not None:
            self._repeat = Step(other, step.no_cache, fresh=True)
        elif fault is Fault.CORRUPT and not step.no_cache:
            self._repeat = Step(step.route, no_cache=True)  # a cache on the way may hold a damaged copy
        elif fault in _RETRIED and self._retries_left and not self._was_left(step.route):
            self._retry(step, fault)
        else:
            self._leave(step.route, fault)

    def succeeded(self, step: Step) -> None:
        """The try delivered."""
        if self.missing:
            self._routes.had_it(step.route, self.missing)
        if step.route.address is not None:
            self._routes.reached(step.route.server, step.route.address)

    @property
    def is_missing_everywhere(self) -> bool:
        """Whether each server that there is said that it does not have it."""
        return self.missing.issuperset(self._routes.servers)

    def _retry(self, step: Step, fault: Fault) -> None:
        self._retries_left -= 1
        self._retried += 1
        elsewhere = any(self._is_open(route) for route in self._routes.order(self._key) if route != step.route)
        # Where there is another route, the second failure leads away from this one: no need to spare it by a pause.
        pause = 0 if elsewhere and fault is not Fault.BUSY else self._retried
        # A host that went away without a word leaves connections that swallow everything.
        self._repeat = Step(step.route, step.no_cache, pause, fresh=fault is Fault.BROKEN)

    def _was_left(self, route: Route) -> bool:
        """Whether others found meanwhile that the route is broken: no use in making sure of it again."""
        return self._was_in_use and not self._routes.in_use(route)

    def _other_address(self, route: Route, addresses: Sequence[str]) -> Route | None:
        """The same server at an address that was not tried yet."""
        if route.proxy is not None or not addresses:
            return None
        self._addresses_out.add((route.server, addresses[0]))
        if route.address is not None:
            self._routes.address_failed(route.server, route.address)
        other = next((item for item in addresses if (route.server, item) not in self._addresses_out), None)
        return None if other is None else Route(route.server, None, other)

    def _leave(self, route: Route, fault: Fault) -> None:
        self._routes.failed(route, fault)
        if blames_proxy(route, fault):
            self._routes_out.add(route)
        else:
            self._servers_out.add(route.server)

    def _is_open(self, route: Route) -> bool:
        return route.server not in self._servers_out and route not in self._routes_out
