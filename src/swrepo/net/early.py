"""Transfers that were started before anybody asked for them, until they are asked for, or given up."""

from __future__ import annotations

import threading
from collections import OrderedDict

from swrepo.net.http import HttpClient
from swrepo.net.transfer import Transfer

_MOST = 256
"""Started transfers that are kept; of each, at most 2 MiB wait here."""


class EarlyTransfers:
    """Safe from any thread; `_lock` guards the table, and nothing is acquired under it."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._started: OrderedDict[tuple[str, str | None], Transfer] = OrderedDict()

    def start(self, url: str, proxy: str | None) -> None:
        """Begin a GET that `take` will be called for."""
        transfer = self._client.start(url, proxy, keep_head=proxy is not None)
        with self._lock:
            before = self._started.pop((url, proxy), None)
            self._started[url, proxy] = transfer
            if before is None and len(self._started) > _MOST:
                _, before = self._started.popitem(last=False)
        if before is not None:
            before.cancel()

    def take(self, url: str, proxy: str | None) -> Transfer | None:
        """The transfer that was started for this, now the caller's; None where there is none."""
        with self._lock:
            return self._started.pop((url, proxy), None)
