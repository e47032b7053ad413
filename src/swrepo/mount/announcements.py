"""Hears of new revisions from notification servers, and has them shown at once.

What a server says is only a claim: the manifest in its message is checked like one that was fetched. Where there is
no such server, or it is silent, the mount looks for new revisions every TTL, as without one.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from swrepo.errors import CorruptObject, FormatError, NotFound, SwrepoError, Unreachable
from swrepo.format.announcement import LIMIT, SUBSCRIBE, Announcement, subscription
from swrepo.mount.refresh import Refresher
from swrepo.net.connect import event_stream

log = logging.getLogger(__name__)

_FIRST, _LONGEST = 1.0, 300.0
"""Seconds between two tries to subscribe: at first, and at most. Half of them are by chance."""

_HELD = 60.0
"""Seconds after which a subscription that ends was a good one."""

_TRIES = 10
"""How often a revision is asked for that the servers do not have yet: in all for some five minutes."""

_NOT_YET = (NotFound, Unreachable, CorruptObject)


class Announcements:
    """Subscriptions of a mount: one for each repository in use whose configuration names a notification server."""

    def __init__(self, refreshers: Callable[[], list[Refresher]]) -> None:
        self._refreshers = refreshers
        self._subscriptions: dict[str, Subscription] = {}

    def look(self) -> None:
        """Subscribe for what came into use. For the main thread."""
        for refresher in self._refreshers():
            access = refresher.access
            if access.request.network.announcer and not access.is_fixed and access.fqrn not in self._subscriptions:
                self._subscriptions[access.fqrn] = Subscription(refresher)

    def stop(self) -> None:
        """Hear nothing any more."""
        for subscription_ in self._subscriptions.values():
            subscription_.stop()


class Subscription:
    """For one repository, from its making on: a thread that listens, and one that shows what came last.

    `_changed` guards `_manifest`.
    """

    def __init__(self, refresher: Refresher) -> None:
        access = refresher.access
        network = access.request.network
        self._refresher = refresher
        self._fqrn = access.fqrn
        self._server = network.announcer or ""
        self._stream = event_stream(self._server + SUBSCRIBE, subscription(self._fqrn), network, LIMIT)
        self._manifest: bytes | None = None
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._is_out = False
        for work in (self._listen, self._show):
            threading.Thread(target=work, name="announcements", daemon=True).start()

    def stop(self) -> None:
        """End both threads, soon."""
        self._stopped.set()
        self._stream.close()
        with self._changed:
            self._changed.notify()

    # -- the thread that listens --

    def _listen(self) -> None:
        pause = _FIRST
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                self._stream.listen(self._heard)
            except Unreachable as error:
                self._failed(error)
            if time.monotonic() - began > _HELD:
                pause = _FIRST
            self._stopped.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all come at once
            pause = min(2 * pause, _LONGEST)

    def _failed(self, error: SwrepoError) -> None:
        """Say so, once for each outage."""
        if not self._is_out and not self._stopped.is_set():
            log.warning("%s: no notifications, new revisions are looked for every TTL: %s", self._fqrn, error)
        self._is_out = True

    def _heard(self, data: bytes) -> None:
        if self._is_out:
            log.info("%s: notifications from %s come again", self._fqrn, self._server)
            self._is_out = False
        try:
            message = Announcement.parse(data)
        except FormatError as error:
            log.warning("%s: %s says what is not understood: %s", self._fqrn, self._server, error)
            return
        if message.fqrn == self._fqrn:
            with self._changed:
                self._manifest = message.manifest
                self._changed.notify()

    # -- the thread that shows --

    def _show(self) -> None:
        while not self._stopped.is_set():
            with self._changed:
                while self._manifest is None and not self._stopped.is_set():
                    self._changed.wait()
                manifest, self._manifest = self._manifest, None
            if manifest is not None:
                self._try(manifest)

    def _try(self, manifest: bytes) -> None:
        pause = _FIRST
        for left in reversed(range(_TRIES)):
            try:
                log.debug("%s: notified: %s", self._fqrn, self._refresher.announced(manifest))
            except _NOT_YET as error:
                if not left:
                    log.warning("%s: the revision that was announced cannot be had: %s", self._fqrn, error)
                    return
                log.info("%s: the revision that was announced is not there yet, trying again: %s", self._fqrn, error)
            except Exception as error:
                if self._stopped.is_set():  # what was under way was broken off
                    pass
                elif isinstance(error, SwrepoError):
                    log.warning("%s: what %s announced is not believed: %s", self._fqrn, self._server, error)
                else:
                    log.exception("%s stays at its revision", self._fqrn)
                return
            else:
                return
            if self._has_changed(pause):
                return
            pause = min(2 * pause, _LONGEST / 5)

    def _has_changed(self, seconds: float) -> bool:
        """Whether, within this time, another message comes, or it all ends."""
        with self._changed:
            return self._changed.wait_for(lambda: self._manifest is not None or self._stopped.is_set(), seconds)
