"""Repositories that nobody has used for a while let go of their memory; nothing that is shown changes.

Their catalogs keep a descriptor and their numbers, and open again at the next look-up, without the network. What the
kernel was told stays right: new revisions are looked for all the time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from swrepo.vfs.tree import Vfs

log = logging.getLogger(__name__)

_LOOKS = 4
"""Times that it is looked who is idle, within the time that makes one idle."""


class Idle:
    """For one thread. `after`: seconds without a request; `release` is called when something was let go of."""

    def __init__(self, vfs: Vfs, after: float, release: Callable[[], object] = lambda: None) -> None:
        self._vfs = vfs
        self._after = after
        self._release = release
        self._next = 0.0
        self._used_at: dict[str, float] = {}

    def check(self, now: float) -> None:
        """To be called now and then. `now`: seconds on the monotonic clock."""
        if now < self._next:
            return
        self._next = now + self._after / _LOOKS
        with self._vfs.lock:
            volumes = list(self._vfs.volumes.values())
        has_rested = False
        for volume in volumes:
            with self._vfs.lock:
                if volume.is_used or volume.name not in self._used_at:
                    volume.is_used = False
                    self._used_at[volume.name] = now
                elif now - self._used_at[volume.name] >= self._after and not volume.rests:
                    self._vfs.rest(volume)
                    has_rested = True
                    log.info(
                        "%s is idle: its catalogs are let go of until somebody looks", volume.name or "the repository"
                    )
        if has_rested:
            self._release()
