"""Transfers that were started before anybody asked for them, until they are asked for, or given up."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from swrepo.net.http import HttpClient
from swrepo.net.transfer import Transfer
from swrepo.system import activity

_MOST = 48
"""Started transfers that are kept: fewer than connections to one server, which those that nobody takes would fill."""

_LONGEST = 60.0
"""Seconds after which one that nobody took is given up."""

_OK = 200


class EarlyTransfers:
    """Safe from any thread; `_lock` guards the table, and nothing is acquired under it."""

    def __init__(self, client: HttpClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._started: OrderedDict[tuple[str, str | None], tuple[Transfer, float]] = OrderedDict()

    def start(self, url: str, proxy: str | None) -> None:
        """Begin a GET that `take` will be called for."""
        transfer = self._client.start(url, proxy, keep_head=proxy is not None)
        now = self._clock()
        given_up: list[Transfer] = []
        with self._lock:
            before = self._started.pop((url, proxy), None)
            if before is not None:
                given_up.append(before[0])
            self._started[url, proxy] = transfer, now
            while len(self._started) > _MOST or now - next(iter(self._started.values()))[1] > _LONGEST:
                given_up.append(self._started.popitem(last=False)[1][0])
        for one in given_up:
            one.cancel()

    def take(self, url: str, proxy: str | None) -> Transfer | None:
        """The transfer that was started for this, now the caller's; None where there is none, or it has failed."""
        with self._lock:
            found = self._started.pop((url, proxy), None)
        if found is None or (found[0].done and found[0].status != _OK):
            return None
        found[0].worker = activity.current()
        return found[0]
