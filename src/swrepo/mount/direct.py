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
from swrepo.objects.store import BeginsKeeping, Kept, LocalObjects, Want

log = logging.getLogger(__name__)

LARGEST = 128 << 10
"""Plain bytes of the largest object: to check it takes less than a millisecond."""


class Direct:
    """On the loop's thread, but for `check`."""

    def __init__(self) -> None:
        self._coming: dict[int, tuple[Kept, Session]] = {}
        self._kinds: dict[type, bool] = {}
        self.taken = 0
        """Objects that came so."""

    def begin(
        self,
        session: Session,
        want: Want,
        objects: LocalObjects,
        came: Callable[[bytes, Callable[[], object]], object],
        failed: Callable[[], object],
    ) -> bool:
        """Ask for an object; False where that cannot be done. `came` is given its bytes, and what keeps them."""
        if want.size is None or want.size > LARGEST:
            return False
        kind = type(objects)
        if kind not in self._kinds:  # to ask a protocol takes ten times as long
            self._kinds[kind] = isinstance(objects, BeginsKeeping)
        kept = cast("BeginsKeeping", objects).begin(want) if self._kinds[kind] else None
        if kept is None:
            return False
        descriptor = kept.fileno()

        def ready() -> None:
            try:
                plain = kept.advance()
                if plain is None:
                    return
                self._forget(descriptor)
                self.taken += 1
                came(plain, kept.keep)
            except SwrepoError as error:
                log.debug("object %s is fetched in another way: %s", want.id, error)
                self._forget(descriptor)
                failed()
            except Exception:
                log.exception("object %s could not be taken", want.id)
                self._forget(descriptor)
                failed()

        self._coming[descriptor] = kept, session
        session.watch(descriptor, ready)
        return True

    def check(self, now: float) -> None:
        """From another thread: end what takes too long."""
        for kept, _ in list(self._coming.values()):
            kept.check(now)

    def close(self) -> None:
        """The loop has ended."""
        for kept, _ in self._coming.values():
            kept.cancel()
        self._coming.clear()

    def _forget(self, descriptor: int) -> None:
        found = self._coming.pop(descriptor, None)
        if found is not None:
            found[1].unwatch(descriptor)
