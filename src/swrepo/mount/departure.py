"""Notices that the mount was taken away from where it was, and is served on all the same, for those who still have it.

Copies in other mount namespaces (containers) and programs that stayed inside after `umount -l` keep their files until
they end, and this process with them. But it is not *the* mount of its repository any more: the names by which that is
found (control socket, record, port for metrics) are let go, for one that is mounted anew.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from swrepo.fuse import copies
from swrepo.fuse.mount import device_of, place_of

log = logging.getLogger(__name__)

_GRACE = 1.0
"""Seconds that the kernel has for ending a connection that nobody uses any more, before we say that somebody does."""


class Departure:
    """Of one mount. For one thread."""

    def __init__(self, mountpoint: str | None) -> None:
        """`mountpoint`: None where somebody else mounted it, who knows where."""
        self.tables: list[copies.Table] = []
        """What is to be watched for exceptions; empty where there is nothing (more) to notice."""
        self._mountpoint = mountpoint
        self._device = device_of(place_of(mountpoint)) if mountpoint is not None else None
        self._gone_since: float | None = None
        if self._device is not None:
            with suppress(OSError):
                self.tables.append(copies.Table())

    def look(self, now: float, *, changed: bool) -> bool:
        """Whether it has departed; True once. `changed`: some mount came or went. `now`: on the monotonic clock."""
        if not self.tables or self._device is None:
            return False
        if self._gone_since is None:
            if changed and not self.tables[0].has(self._device):
                self._gone_since = now
            return False
        if now - self._gone_since < _GRACE:
            return False
        self.close()
        found = copies.holders(self._device)
        where = f"copies in the mount namespaces of {copies.in_words(found)}" if found else "programs that stayed in it"
        log.info("unmounted from %s; served on until they end: %s", self._mountpoint, where)
        return True

    def close(self) -> None:
        """Watch no more."""
        while self.tables:
            self.tables.pop().close()
