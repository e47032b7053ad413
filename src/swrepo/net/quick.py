"""The quick way to small objects: over the route of the moment, once. Whatever fails is for net.remote to fetch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from swrepo.errors import CorruptObject
from swrepo.net.coming import ComingObject
from swrepo.net.faults import Fault, TransferFailed
from swrepo.net.http import HttpClient
from swrepo.net.routes import Route, Routes
from swrepo.net.traffic import TrafficCount
from swrepo.objects import codec
from swrepo.objects.store import Want

_OK = 200
_PART_OF_PATIENCE = 0.5
"""Of the time that a transfer may take without a byte: after that, what was begun is fetched in other ways."""


class Quick:
    """Safe from any thread."""

    def __init__(
        self,
        routes: Routes,
        client: HttpClient,
        traffic: TrafficCount,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._routes = routes
        self._client = client
        self._traffic = traffic
        self._clock = clock

    def begin(self, want: Want) -> ComingObject | None:
        """See BeginsFetching."""
        path = want.id.path
        route = self._routes.current(path)
        line = None if route.address is not None else self._client.ask(route.server, path, route.proxy)
        if line is None:
            return None
        url = f"{route.server}/{path}"
        return ComingObject(want, url, line, self._client.lines, self._patience(route), self._traffic, self._clock)

    def fetch_many(self, wants: Sequence[Want], deliver: Callable[[Want, bytes], object]) -> list[Want]:
        """See FetchesMany."""
        routes = [self._routes.current(want.id.path) for want in wants]
        tried = [index for index, route in enumerate(routes) if route.address is None]
        left = [want for want, route in zip(wants, routes, strict=True) if route.address is not None]
        targets = [(f"{routes[index].server}/{wants[index].id.path}", routes[index].proxy) for index in tried]
        begin = self._clock()
        count = size = 0
        for number, transfer in self._client.run(targets):
            want = wants[tried[number]]
            try:
                stored = transfer.take() if transfer.status == _OK else b""
                plain = codec.decode_whole(stored, want)
            except (TransferFailed, CorruptObject) as error:
                left.append(want)
                if not (isinstance(error, TransferFailed) and error.fault is Fault.CANCELLED):
                    self._traffic.failed()
                continue
            count, size = count + 1, size + len(stored)
            deliver(want, plain)
        self._traffic.came(count, size, self._clock() - begin)
        return left

    def _patience(self, route: Route) -> float:
        timeouts = self._client.timeouts
        return _PART_OF_PATIENCE * (timeouts.direct if route.proxy is None else timeouts.proxied)
