"""The quick way to small objects: over the route of the moment, once. Whatever fails is for net.remote to fetch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from swrepo.errors import CorruptObject
from swrepo.net.coming import ComingObject
from swrepo.net.faults import TransferFailed
from swrepo.net.http import HttpClient
from swrepo.net.routes import Route, Routes
from swrepo.net.together import answers
from swrepo.objects import codec
from swrepo.objects.store import Want

_OK = 200
_PART_OF_PATIENCE = 0.5
"""Of the time that a transfer may take without a byte: after that, what was begun is fetched in other ways."""

_NEAR = 0.004
"""Seconds that a small object takes, up to which several are asked for on one connection."""

Note = Callable[[int, int, float], object]
"""Told of responses, their stored bytes, and the seconds that they took."""


class Quick:
    """Safe from any thread. `distance`: seconds that a small object takes, 0 where that is not known yet."""

    def __init__(
        self,
        routes: Routes,
        client: HttpClient,
        note: Note,
        distance: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._routes = routes
        self._client = client
        self._note = note
        self._distance = distance
        self._clock = clock

    def begin(self, want: Want) -> ComingObject | None:
        """See BeginsFetching."""
        path = want.id.path
        route = self._routes.current(path)
        found = None if route.address is not None else self._client.line(route.server, [path], route.proxy)
        if found is None:
            return None
        line, requests = found
        try:
            line.send(requests[0])
        except OSError:
            self._client.lines.drop(line)
            return None
        url = f"{route.server}/{path}"
        return ComingObject(want, url, line, self._client.lines, self._patience(route), self._note_one, self._clock)

    def fetch_many(self, wants: Sequence[Want], deliver: Callable[[Want, bytes], object]) -> list[Want]:
        """See FetchesMany."""
        routes = {want: self._routes.current(want.id.path) for want in wants}
        asked = {want: route for want, route in routes.items() if route.address is None}
        begin = self._clock()
        count = size = 0
        for want, stored in self._stored(asked):
            try:
                plain = codec.decode_whole(stored, want)
            except CorruptObject:
                continue
            del routes[want]
            count, size = count + 1, size + len(stored)
            deliver(want, plain)
        self._note(count, size, self._clock() - begin)
        return list(routes)

    def _stored(self, asked: dict[Want, Route]) -> Iterator[tuple[Want, bytes]]:
        """What the servers send for these. Each is asked for once, but for those whose connection ended before."""
        if 0 < self._distance() <= _NEAR:
            yield from self._together(asked)
        targets = [(f"{route.server}/{want.id.path}", route.proxy) for want, route in asked.items()]
        left = list(asked)
        for number, transfer in self._client.run(targets) if targets else ():
            with suppress(TransferFailed):
                yield left[number], transfer.take() if transfer.status == _OK else b""

    def _together(self, asked: dict[Want, Route]) -> Iterator[tuple[Want, bytes]]:
        """The same over one connection, where all go the same way; those that were answered are taken out."""
        route = next(iter(asked.values()), None)
        wants = list(asked)
        if route is None or any(other != route for other in asked.values()):
            return
        found = self._client.line(route.server, [want.id.path for want in wants], route.proxy)
        if found is None:
            return
        line, requests = found
        limits = [codec.stored_bound(want) for want in wants]
        came = answers(self._client.lines, line, requests, limits, self._patience(route))
        for want, answer in zip(wants, came, strict=False):
            del asked[want]
            if answer.status == _OK:
                yield want, answer.body

    def _note_one(self, size: int, seconds: float) -> None:
        self._note(1, size, seconds)

    def _patience(self, route: Route) -> float:
        timeouts = self._client.timeouts
        return _PART_OF_PATIENCE * (timeouts.direct if route.proxy is None else timeouts.proxied)
