"""Addresses of servers and proxies, kept for as long as they hold; old ones serve while new ones are looked up.

The system is asked, unless a name server is given. A look-up that takes too long goes on beside, for whoever asks next.
"""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from swrepo.config.network import NameParameters
from swrepo.net.dns import Found, NoAnswer, look_up, server_address
from swrepo.net.routes import AUTO, ProxyGroups

log = logging.getLogger(__name__)

_AGAIN = 60.0
"""Seconds after which a name that had no address is asked for again."""

_DEFAULTS = NameParameters()

Lookup = Callable[[str], Found]
"""Addresses of a name, which may take its time; NoAnswer or OSError."""


class _Name:
    """What is known about one name; the fields are guarded by `Names._lock`."""

    __slots__ = ("found", "looked_up", "until")

    def __init__(self) -> None:
        self.found: tuple[str, ...] = ()
        self.until = 0.0
        self.looked_up: threading.Event | None = None


class Names:
    """Safe from any thread; `_lock` guards the table, and nothing is acquired under it."""

    def __init__(
        self,
        options: NameParameters = _DEFAULTS,
        *,
        lookup: Lookup | None = None,
        clock: Callable[[], float] = time.monotonic,
        sample: Callable[[Sequence[str], int], list[str]] = random.sample,
    ) -> None:
        self._options = options
        self.asks_own_server = options.server is not None
        self._look_up = lookup or self._usual_lookup()
        self._clock, self._sample = clock, sample
        self._lock = threading.Lock()
        self._names: dict[str, _Name] = {}
        self._of_proxies: set[str] = set()

    def addresses(self, host: str) -> tuple[str, ...]:
        """All addresses of a name or literal; empty where there are none, or none came in time."""
        literal = _literal(host)
        if literal is not None:
            return (literal,)
        with self._lock:
            name = self._names.setdefault(host, _Name())
            if name.until > self._clock():
                return name.found
            if name.looked_up is None:
                name.looked_up = threading.Event()
                threading.Thread(target=self._renew, args=(host, name), name="names", daemon=True).start()
            event = name.looked_up
            if name.found:
                return name.found
        event.wait(self._options.timeout * (self._options.retries + 1))
        with self._lock:
            return name.found

    def spread(self, groups: ProxyGroups) -> ProxyGroups:
        """Each proxy whose name has addresses, as one proxy for each of them, in the same group."""
        hosts = {host for group in groups for proxy in group if (host := _host_of(proxy)) is not None}
        with self._lock:
            self._of_proxies = hosts
        threads = [threading.Thread(target=self.addresses, args=(host,), name="names", daemon=True) for host in hosts]
        if len(threads) > 1:  # so that the second need not wait for the first
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return tuple(
            tuple(dict.fromkeys(at for proxy in group for at in self._proxy_at_addresses(proxy))) for group in groups
        )

    @property
    def until(self) -> float:
        """When the first of the proxies' names has to be spread again, on the clock; far away where there is none."""
        with self._lock:
            known = [name.until for host, name in self._names.items() if host in self._of_proxies]
            return min(known, default=float("inf"))

    def _proxy_at_addresses(self, proxy: str | None) -> list[str | None]:
        host = _host_of(proxy)
        if proxy is None or host is None:
            return [proxy]
        found = self.addresses(host)
        preferred = [address for address in found if (":" in address) == (self._options.family == 6)]
        usable = sorted(preferred or found)
        most = self._options.most
        if most is not None and len(usable) > most:
            usable = self._sample(usable, most)
        return [_with_host(proxy, address) for address in usable] or [proxy]

    def _renew(self, host: str, name: _Name) -> None:
        try:
            found = self._look_up(host)
        except (NoAnswer, OSError, UnicodeError) as error:
            log.info("no addresses of %s: %s", host, error)
            found = Found((), 0.0)
        options = self._options
        with self._lock:
            if found.addresses:
                name.found = found.addresses
                name.until = self._clock() + min(options.longest_ttl, max(options.least_ttl, found.ttl))
            else:
                name.until = self._clock() + _AGAIN
            event, name.looked_up = name.looked_up, None
        if event is not None:
            event.set()

    def _usual_lookup(self) -> Lookup:
        options = self._options
        families = (4,) if options.ipv4_only else (4, 6)
        if options.server is None:
            return lambda host: _by_the_system(host, families)
        server = server_address(options.server)
        return lambda host: look_up(host, server, options.timeout, options.retries, families)


def _by_the_system(host: str, families: tuple[int, ...]) -> Found:
    """The system does not say how long its answers hold."""
    family = socket.AF_UNSPEC if len(families) > 1 else socket.AF_INET
    found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    return Found(tuple(dict.fromkeys(str(entry[4][0]) for entry in found)), 0.0)


def _literal(host: str) -> str | None:
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def _host_of(proxy: str | None) -> str | None:
    """The name that is looked up for a proxy; None where there is none, or where a certificate is for the name."""
    if proxy is None or proxy == AUTO:
        return None
    parts = urlsplit(proxy)
    if parts.scheme != "http" or parts.hostname is None or _literal(parts.hostname) is not None:
        return None
    return parts.hostname


def _with_host(proxy: str, address: str) -> str:
    parts = urlsplit(proxy)
    user, at, _ = parts.netloc.rpartition("@")
    host = f"[{address}]" if ":" in address else address
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{user}{at}{host}{port}"
