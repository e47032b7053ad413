"""Which server is near: as a server's Geo API says, else by measured round trips. Source: format.md 12.

Each question is a request of its own, sent beside what anybody waits for.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from swrepo.errors import SwrepoError
from swrepo.format.wellknown import MANIFEST
from swrepo.net.http import NO_CACHE, HttpClient
from swrepo.net.transfer import Transfer

log = logging.getLogger(__name__)

_ASKED = 3
"""Servers that are asked for an order before it is measured."""

_SEPARATOR = "+PXYSEP+"
_LONGEST_ANSWER = 64 << 10
_OK = 200


@dataclass(frozen=True, slots=True)
class Order:
    """Servers, and proxies to fall back on, nearest first. `asked`: how many requests it took."""

    servers: tuple[str, ...]
    fallback: tuple[str, ...]
    asked: int
    measured: bool = False


class Distances:
    """Asks through `client`; `origin` names who asks: a proxy, or something that nobody else uses."""

    def __init__(
        self,
        client: HttpClient,
        origin: Callable[[], str],
        *,
        sample: Callable[[Sequence[str], int], list[str]] = random.sample,
    ) -> None:
        self._client = client
        self._origin = origin
        self._sample = sample

    def order(self, servers: Sequence[str], fallback: Sequence[str], proxy: str | None) -> Order | None:
        """Nearest first, asked for through `proxy`; None where nobody answers."""
        names = [_host(server) for server in servers]
        if len(fallback) > 1:
            names += [_SEPARATOR, *(_host(one) for one in fallback)]
        asked = 0
        for server in self._sample(servers, min(_ASKED, len(servers))):
            asked += 1
            url = f"{server}/api/v1.0/geo/{quote(self._origin(), safe='')}/{','.join(names)}"
            indexes = self._ask(url, proxy, len(names))
            if indexes is not None:
                return _ordered(indexes, servers, fallback, asked)
        return self._measured(servers, fallback, proxy, asked)

    def _ask(self, url: str, proxy: str | None, count: int) -> list[int] | None:
        """Indexes from 0 in the order of the answer; None where it is none."""
        try:
            with self._client.stream(url, proxy) as response:
                text = _text(response.blocks) if response.status == _OK else ""
        except SwrepoError as error:
            log.debug("no order of servers from %s: %s", url, error)
            return None
        try:
            indexes = [int(piece) - 1 for piece in text.strip().split(",")]
        except ValueError:
            return None
        return indexes if sorted(indexes) == list(range(count)) else None

    def _measured(self, servers: Sequence[str], fallback: Sequence[str], proxy: str | None, asked: int) -> Order | None:
        """By the time that a small document takes over a connection that is open, from the server and not a cache."""
        urls = [f"{server}/{MANIFEST}" for server in servers]
        self._times(urls, proxy)  # opens the connections
        times = self._times(urls, proxy)
        if all(found is None for found in times):
            return None
        far = float("inf")
        order = sorted(range(len(servers)), key=lambda index: far if (one := times[index]) is None else one)
        return Order(tuple(servers[index] for index in order), tuple(fallback), asked + 2 * len(servers), measured=True)

    def _times(self, urls: list[str], proxy: str | None) -> list[float | None]:
        begun = time.monotonic()
        started = [self._client.start(url, proxy, headers=NO_CACHE, keep_head=False) for url in urls]
        ends = [_end(transfer) for transfer in started]
        return [None if end is None else end - begun for end in ends]


def _end(transfer: Transfer) -> float | None:
    """When the whole answer was there; None where there was none."""
    try:
        transfer.wait()
    except SwrepoError:
        return None
    finally:
        transfer.cancel()
    return transfer.ended if transfer.status == _OK else None


def _ordered(indexes: list[int], servers: Sequence[str], fallback: Sequence[str], asked: int) -> Order:
    near = tuple(servers[index] for index in indexes if index < len(servers))
    nearest_proxies = tuple(fallback[index - len(servers) - 1] for index in indexes if index > len(servers))
    return Order(near, nearest_proxies or tuple(fallback), asked)


def _text(blocks: Iterable[bytes]) -> str:
    found = b""
    for block in blocks:
        found += block
        if len(found) > _LONGEST_ANSWER:
            return ""
    return found.decode("ascii", "replace")


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
