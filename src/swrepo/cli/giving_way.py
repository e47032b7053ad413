"""A command that fills a cache gives way to programs that wait for mounts of this machine: it asks those mounts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from swrepo.errors import MountFailed
from swrepo.mount.control import ask
from swrepo.mount.quiet import ENOUGH

QUESTION = "quiet"
_PATIENCE = 1.0
_PAUSE = 0.05
"""Seconds after which mounts are asked again, and for which an answer holds."""

_LONG = 10.0
_NEW_MOUNTS = 5.0
"""Seconds after which it is looked for other mounts."""


class GivesWay:
    """Safe from any thread; `_lock` is held while mounts are asked, so that one thread asks for all.

    `sockets`: those of all mounts there are. A mount that does not answer, or does not know the question, has no say.
    """

    def __init__(
        self,
        sockets: Callable[[], Iterable[Path]],
        asked: Callable[[Path], str] = lambda socket: ask(socket, QUESTION, _PATIENCE),
        pause: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        waits_long: Callable[[], object] = lambda: None,
    ) -> None:
        """`waits_long`: told once, after ten seconds in which somebody else was first."""
        self._sockets = sockets
        self._asked = asked
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._mounts: list[Path] = []
        self._look_at = self._ask_at = float("-inf")
        self._waits_long = waits_long
        self._was_told = False
        self.times = 0
        """How often somebody was waited for."""

    def wait(self) -> None:
        """Return when nobody waits for a mount."""
        with self._lock:
            begun = self._clock()
            while not self._is_quiet():
                self.times += 1
                self._pause(_PAUSE)
                if not self._was_told and self._clock() - begun >= _LONG:
                    self._was_told = True
                    self._waits_long()

    def _is_quiet(self) -> bool:
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + _NEW_MOUNTS
            self._mounts = list(self._sockets())
        if now < self._ask_at:
            return True
        quiet = all(self._says_so(mount) for mount in list(self._mounts))
        self._ask_at = self._clock() + (_PAUSE if quiet else 0.0)
        return quiet

    def _says_so(self, mount: Path) -> bool:
        try:
            return float(self._asked(mount)) >= ENOUGH
        except (MountFailed, ValueError):
            self._mounts.remove(mount)
            return True
