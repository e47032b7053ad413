"""Small objects that the loop asks for by itself, and takes when they come: no other thread has to be woken for them.

The loop never waits: it sends a request over a connection that stands, goes on with what else the kernel wants, and
looks when something came. Whatever cannot be had in that way is for the threads of the pool.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

from swrepo.errors import SwrepoError
from swrepo.fuse.session import Session
from swrepo.objects.store import BeginsFetching, Coming, LocalObjects, Want

log = logging.getLogger(__name__)

LARGEST = 128 << 10
"""Plain bytes of the largest object: to check it takes less than a millisecond."""


class Direct:
    """On the loop's thread, but for `check`."""

    def __init__(self) -> None:
        self._coming: dict[int, tuple[Coming, Session]] = {}
        self._kinds: dict[type, bool] = {}
        self.taken = 0
        """Objects that came so."""

    def begin(
        self,
        session: Session,
        want: Want,
        objects: LocalObjects,
        came: Callable[[bytes], object],
        failed: Callable[[], object],
    ) -> bool:
        """Ask for an object; False where that cannot be done. `came` is given its bytes."""
        if want.size is None or want.size > LARGEST:
            return False
        kind = type(objects)
        if kind not in self._kinds:  # to ask a protocol takes ten times as long
            self._kinds[kind] = isinstance(objects, BeginsFetching)
        try:
            coming = cast("BeginsFetching", objects).begin(want) if self._kinds[kind] else None
        except Exception:  # whoever waits has been noted already, and is to get an answer
            log.exception("object %s could not be asked for", want.id)
            return False
        if coming is None:
            return False
        descriptor = coming.fileno()

        def ready() -> None:
            plain = None
            try:
                plain = coming.advance()
                if plain is None:
                    return
            except SwrepoError as error:
                log.debug("object %s is fetched in another way: %s", want.id, error)
            except Exception:
                log.exception("object %s could not be taken", want.id)
            self._forget(descriptor)
            self.taken += plain is not None
            try:
                failed() if plain is None else came(plain)
            except Exception:
                log.exception("who waits for object %s could not be answered", want.id)

        self._coming[descriptor] = coming, session
        session.watch(descriptor, ready)
        return True

    def check(self, now: float) -> None:
        """From another thread: end what takes too long."""
        for coming, _ in list(self._coming.values()):
            coming.check(now)

    def close(self) -> None:
        """The loop has ended."""
        for coming, _ in self._coming.values():
            coming.cancel()
        self._coming.clear()

    def _forget(self, descriptor: int) -> None:
        found = self._coming.pop(descriptor, None)
        if found is not None:
            found[1].unwatch(descriptor)
