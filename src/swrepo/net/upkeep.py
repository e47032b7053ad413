"""Keeps routes up to date beside the requests: addresses of proxies when they expire, and which server is near.

No thread waits for its time: each request looks at the clock, and the first that finds something due starts a thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from swrepo.errors import SwrepoError
from swrepo.net.distance import Distances
from swrepo.net.metalink import Metalinks
from swrepo.net.names import Names
from swrepo.net.routes import ProxyGroups, Routes

log = logging.getLogger(__name__)

_ORDER_HOLDS = 6 * 3600.0
_ORDER_AGAIN = 600.0
"""Seconds until servers are ordered anew, and until it is tried again where nobody answered."""


@dataclass(frozen=True, slots=True)
class Configured:
    """What the configuration says, before names and distances: `proxies` before `fallback`, `most` servers of all."""

    servers: tuple[str, ...]
    proxies: ProxyGroups
    fallback: ProxyGroups = ()
    most: int | None = None


class Upkeep:
    """Safe from any thread. `_lock` guards what is due and whether a thread is at it."""

    def __init__(
        self,
        configured: Configured,
        routes: Routes,
        names: Names,
        distances: Distances | None,
        metalinks: Metalinks | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`distances`: None where the servers are to stay in their order. `metalinks`: who tells servers, and told."""
        self._configured = configured
        self._fallback = configured.fallback
        self._routes, self._names, self._distances = routes, names, distances
        self._clock = clock
        self._lock = threading.Lock()
        self._at_it = False
        self._metalinks = metalinks
        self._metalinks_due = float("inf") if metalinks is None else clock() + metalinks.holds
        self._order_due = 0.0 if distances is not None and self._can_be_ordered() else float("inf")
        self._due = min(self._order_due, self._metalinks_due, names.until)
        self.questions = 0
        """Requests that were sent to find out what is near."""

    def look(self) -> None:
        """Begin what is due, and return at once."""
        if self._clock() < self._due:
            return
        with self._lock:
            if self._at_it:
                return
            self._at_it = True
        threading.Thread(target=self._run, name="routes", daemon=True).start()

    def use(
        self,
        *,
        servers: Sequence[str] | None = None,
        proxies: ProxyGroups | None = None,
        fallback: ProxyGroups | None = None,
    ) -> None:
        """Others than those that are configured, until somebody says otherwise. ConfigError where none is left."""
        with self._lock:
            configured = self._configured
            if servers is not None:
                configured = replace(configured, servers=tuple(server.rstrip("/") for server in servers))
            if proxies is not None:
                configured = replace(configured, proxies=proxies)
            if fallback is not None:
                configured = replace(configured, fallback=fallback)
                self._fallback = fallback
            if servers is not None:
                self._routes.set_servers(configured.servers[: configured.most])
            self._routes.set_proxies(self._names.spread(configured.proxies + self._fallback))
            self._configured = configured

    @property
    def configured(self) -> Configured:
        """What is used now."""
        return self._configured

    def _run(self) -> None:
        try:
            if self._metalinks is not None and self._clock() >= self._metalinks_due:
                self._ask_again(self._metalinks)
            if self._clock() >= self._order_due:
                self._order()
            self._routes.set_proxies(self._names.spread(self._configured.proxies + self._fallback))
        except SwrepoError as error:  # the client was closed meanwhile
            log.debug("routes were not brought up to date: %s", error)
        except Exception:
            log.exception("routes could not be brought up to date")
        finally:
            with self._lock:
                due = min(self._order_due, self._metalinks_due, self._names.until)
                self._due = max(self._clock() + 1.0, due)
                self._at_it = False

    def _ask_again(self, metalinks: Metalinks) -> None:
        self._metalinks_due = self._clock() + metalinks.holds
        before = self._configured.servers
        found = metalinks.servers(self._routes.current().proxy)
        if found != before:
            self._configured = replace(self._configured, servers=found)
            self._routes.set_servers(found[: self._configured.most])
            self._order_due = 0.0 if self._distances is not None else self._order_due

    def _order(self) -> None:
        assert self._distances is not None  # noqa: S101 - else it is never due
        self._order_due = self._clock() + _ORDER_AGAIN
        configured = self._configured
        single = [proxy for group in configured.fallback for proxy in group if proxy is not None]
        route = self._routes.current()
        found = self._distances.order(configured.servers, single, route.proxy)
        if found is None:
            return
        self._order_due = self._clock() + _ORDER_HOLDS
        self.questions += found.asked
        if configured.fallback:
            self._fallback = tuple((proxy,) for proxy in found.fallback)
        self._routes.set_servers(found.servers[: configured.most])
        log.info("servers by distance: %s", ", ".join(found.servers))

    def _can_be_ordered(self) -> bool:
        return len(self._configured.servers) > 1 or sum(map(len, self._configured.fallback)) > 1
