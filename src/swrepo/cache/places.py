"""Where a cache lies at the moment: a directory that was removed is left, and another one made in its place."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from swrepo.cache.directory import CacheDirectory, Enter, refusal
from swrepo.errors import PermissionRefused, SwrepoError

PATIENCE = 3
"""Times that a directory may be removed while it is made, or used."""

_GRACE = 60.0
"""Seconds after which nobody looks for a file in a directory that was left: that takes milliseconds."""


class Refused(Exception):
    """The disk takes no object. Never leaves the cache: `reason` is what others are told."""

    def __init__(self, reason: SwrepoError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Places:
    """Safe from any thread. `_lock` guards all but reading `current`; `on_change` runs under it.

    `current` may be read from. Who writes borrows it: what was left is closed when nobody has it any more.
    """

    def __init__(self, root: Path, enter: Enter, clock: Callable[[], float] = time.monotonic) -> None:
        """Enter the directory. Refused."""
        self._root = root
        self._enter_directory = enter
        self._clock = clock
        self._lock = threading.Lock()
        self._borrowed: Counter[int] = Counter()
        self._left: list[tuple[float, CacheDirectory]] = []
        self.is_closed = False
        """Nobody is to begin anything any more."""
        self.on_change: Callable[[], object] = lambda: None
        """Called when another directory was made, before anybody uses it."""
        self.current = self._enter()

    def borrow(self) -> CacheDirectory:
        """The current one, which stays open until it is given back. Refused when the cache is closed."""
        with self._lock:
            if self.is_closed:
                raise Refused(SwrepoError(f"the cache {self._root} is closed; nothing more is kept in it"))
            place = self.current
            self._borrowed[id(place)] += 1
            return place

    def give_back(self, place: CacheDirectory) -> None:
        """Nothing more is written in it by who borrowed it."""
        with self._lock:
            self._borrowed[id(place)] -= 1
            is_last = self.is_closed and not self._borrowed[id(place)]
        if is_last:
            place.close()

    def follow(self) -> None:
        """Use the directory that has the cache's name now, where the current one was removed. Refused."""
        with suppress(OSError):  # somebody has closed it meanwhile: then it is looked at below
            if not self.current.was_removed():
                return
        place = self.borrow()
        try:
            if place.was_removed():
                self.leave(place)
        finally:
            self.give_back(place)

    def leave(self, place: CacheDirectory) -> None:
        """Make another one, unless somebody else has done so: of this one, something was removed. Refused."""
        with self._lock:
            if self.current is not place or self.is_closed:
                return
            entered = self._enter()
            self.on_change()
            self._left.append((self._clock(), place))
            self.current = entered
            self._close_left()

    def close(self) -> None:
        """Let go of all; of what somebody is writing in, as soon as that is done."""
        with self._lock:
            self.is_closed = True
            places, self._left = [self.current, *(place for _, place in self._left)], []
            free = [place for place in places if not self._borrowed[id(place)]]
        for place in free:
            place.close()

    def _close_left(self) -> None:
        """Each of them has some hundred files open."""
        now = self._clock()
        old = [place for since, place in self._left if now - since > _GRACE and not self._borrowed[id(place)]]
        self._left = [(since, place) for since, place in self._left if place not in old]
        for place in old:
            self._borrowed.pop(id(place), None)
            place.close()

    def _enter(self) -> CacheDirectory:
        for is_last in (*[False] * PATIENCE, True):
            try:
                return self._enter_directory(self._root)
            except PermissionRefused as error:
                raise Refused(error) from error
            except OSError as error:
                # It may be removed while it is being made; a file in its place stays one.
                if is_last or not isinstance(error, (FileNotFoundError, FileExistsError)):
                    raise Refused(refusal(self._root, error)) from error
        raise AssertionError  # the last time there was one or the other
