"""How large a cache may get, and what goes when it gets larger: what was not used for the longest time.

The time of an object's last use is its file's access time, which is set here when it is more than an hour old: in
batches, so that a hit writes nothing. There is no index to keep, to lock or to rebuild.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from swrepo.cache.inventory import Held, footprint, held, is_filled
from swrepo.cache.ledger import Ledger
from swrepo.cache.pins import Pins, is_pinned

log = logging.getLogger(__name__)

MEGABYTE = 1 << 20
RESERVE_SHARE, RESERVE_LIMIT = 20, 2 << 30
"""A twentieth of the file system is left free, but at most 2 GiB."""

USE_GRAIN = 3600.0
"""Seconds. Two uses that are closer to each other count as one."""

_BATCH = 1024
"""Uses that are held in memory; a process that is killed forgets them."""

_UNTOLD = MEGABYTE
"""Bytes that a process may have committed before it tells the others."""

_REMEMBERED = 1024
"""Clean-ups whose time is known."""

_EARLY = 16
"""Cleaning starts in the background when this part of the limit is left, so that nobody has to wait for it."""


class Room(NamedTuple):
    """Bytes of a file system: all, and free for this user."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class QuotaCounters:
    """The limit and what is held, in bytes, and since this process opened the cache: clean-ups and evicted objects."""

    limit: int
    used: int
    cleanups: int
    evicted: int


def in_background(work: Callable[[], None]) -> None:
    """Run `work` in a thread that does not keep the process alive."""
    threading.Thread(target=work, name="cleanup", daemon=True).start()


class Quota:
    """Safe from any thread. `_lock` guards the numbers; `_cleaning`, one clean-up at a time, is acquired before it."""

    def __init__(
        self,
        root: Path,
        limit: int,
        *,
        room: Callable[[Path], Room] | None = None,
        clock: Callable[[], float] = time.time,
        start: Callable[[Callable[[], None]], None] = in_background,
    ) -> None:
        """Keep the cache at `root` below `limit` bytes, and below what its file system can spare."""
        self.limit = limit
        self.pins = Pins()
        self._root = root
        self._room = room or room_of
        self._clock = clock
        self._start = start
        self._ledger = Ledger(root)
        self._lock = threading.Lock()
        self._cleaning = threading.Lock()
        self._is_started = False
        self._told: int | None = None  # what the ledger said last
        self._untold = 0
        self._allowed = limit
        self._used_paths: set[str] = set()
        self._cleaned_at: deque[float] = deque(maxlen=_REMEMBERED)
        self._cleanups = self._evicted = 0

    def admit(self, size: int) -> bool:
        """To be called before an object of `size` plain bytes gets its name; False where it never fits.

        Returns at once unless the limit is reached: then it waits for a clean-up.
        """
        if footprint(size) > self.limit:
            return False
        with self._lock:
            if self._told is None or self._untold > _UNTOLD or self._is_near(footprint(size)):
                self._tell()
            is_full = self._told is not None and self._told + self._untold + footprint(size) > self._allowed
            begin = not is_full and not self._is_started and self._is_near()
            self._is_started |= begin
        if is_full:
            self.clean(footprint(size))
        elif begin:
            self._start(self._clean_in_background)
        with self._lock:
            self._untold += footprint(size)
        return True

    def has_room(self, size: int) -> bool:
        """Whether `admit` need not wait for a clean-up."""
        told = self._told
        return told is None or told + self._untold + footprint(size) <= self._allowed

    def used(self, path: str, last: float) -> None:
        """The object was used; `last` is the last use that its file tells of."""
        if last >= self._clock() - USE_GRAIN:
            return
        self._used_paths.add(path)
        if len(self._used_paths) >= _BATCH:
            self._start(self.write_uses)

    def write_uses(self) -> None:
        """Set the times of all that was used."""
        paths, self._used_paths = self._used_paths, set()
        now = int(self._clock() * 1e9)
        for path in paths:
            with suppress(OSError, NotImplementedError):
                changed = os.lstat(self._root / path).st_mtime_ns
                os.utime(self._root / path, ns=(now, changed), follow_symlinks=False)

    def clean(self, needed: int = 0, *, at_once: bool = False, down_to: int | None = None) -> bool:
        """Evict down to half of what is allowed where it is nearly reached, with `needed` bytes more; or `at_once`.

        `down_to`: evict until not more bytes than that are left, pinned ones excepted. Whether anything was evicted.
        Waits for a clean-up that is under way, in whatever process.
        """
        with self._cleaning:
            try:
                with self._ledger.cleaning():
                    return self._clean(needed, at_once=at_once, down_to=down_to)
            except OSError as error:
                log.warning("the cache %s cannot be cleaned up: %s", self._root, error.strerror)
                return False

    def look(self) -> None:
        """Learn what is held already; where that was never counted and there is much, `admit` has it counted later."""
        with self._lock:
            self._tell()
            if self._told is None and not is_filled(self._root):
                with suppress(OSError):
                    self._told = self._ledger.begin()
                    self._allow(self._told)

    def set_limit(self, limit: int) -> None:
        """Keep the cache below another number of bytes from now on."""
        self.limit = limit
        self.look()
        if self._is_near():
            self.clean()

    def forget(self, size: int) -> None:
        """An object of `size` plain bytes was removed by somebody else than a clean-up."""
        with self._lock:
            self._untold -= footprint(size)

    def cleanups_within(self, seconds: float) -> int:
        """How often something was evicted lately."""
        since = self._clock() - seconds
        with self._lock:
            return sum(moment >= since for moment in self._cleaned_at)

    @property
    def room(self) -> Room:
        """Bytes that the cache may take, and how many of them it has left. From memory: waits for nobody."""
        allowed, used = self._allowed, (self._told or 0) + self._untold
        return Room(allowed, max(0, allowed - used))

    @property
    def counters(self) -> QuotaCounters:
        with self._lock:
            return QuotaCounters(self.limit, (self._told or 0) + self._untold, self._cleanups, self._evicted)

    def close(self) -> None:
        """Write down what is only in memory."""
        self.write_uses()
        with self._lock:
            self._tell()
        self.pins.close()

    def _is_near(self, more: int = 0) -> bool:
        return self._told is None or self._told + self._untold + more > self._allowed - self._allowed // _EARLY

    def _tell(self) -> None:
        """Exchange numbers with the other processes, under `_lock`."""
        with suppress(OSError):  # a full disk: later
            self._told = self._ledger.add(self._untold)
            if self._told is not None:
                self._untold = 0
                self._allow(self._told)

    def _allow(self, used: int) -> None:
        room = self._room(self._root)
        reserve = min(room.total // RESERVE_SHARE, RESERVE_LIMIT)
        self._allowed = max(0, min(self.limit, used + room.free - reserve))

    def _clean_in_background(self) -> None:
        try:
            self.clean()
        finally:
            with self._lock:
                self._is_started = False

    def _clean(self, needed: int, *, at_once: bool, down_to: int | None) -> bool:
        with self._lock:
            self._tell()
            before = self._told
            if before is not None and not at_once and down_to is None and not self._is_near(needed):
                return False  # somebody else has just done it
            self._untold = 0  # where nobody has counted yet, it is among what is counted now
        self.write_uses()
        objects = sorted(held(self._root))
        total = sum(footprint(item.size) for item in objects)
        with self._lock:
            self._allow(total)
            allowed = total if at_once else self._allowed
        evicted, freed = 0, 0
        excess = total + needed - allowed
        if down_to is not None:
            evicted, freed = self._evict(objects, total - down_to, 0)
        elif at_once or excess > -(allowed // _EARLY):
            evicted, freed = self._evict(objects, excess + allowed - allowed // 2, excess)
        with self._lock:
            self._told = self._ledger.correct(before, total - freed)
            self._allow(self._told)
            self._evicted += evicted
            if evicted:
                self._cleanups += 1
                self._cleaned_at.append(self._clock())
        return evicted > 0

    def _evict(self, objects: list[Held], wanted: int, needed: int) -> tuple[int, int]:
        """Free `wanted` bytes, oldest use first; of pinned objects only as many as are `needed`. Count and bytes."""
        count = freed = 0
        pinned: list[Held] = []
        for item in objects:
            if freed >= wanted:
                break
            if is_pinned(self._root / item.path):
                pinned.append(item)
                continue
            if self._remove(item):
                count, freed = count + 1, freed + footprint(item.size)
        for item in pinned:
            if freed >= needed:
                break
            if self._remove(item):
                count, freed = count + 1, freed + footprint(item.size)
        return count, freed

    def _remove(self, item: Held) -> bool:
        try:
            os.unlink(self._root / item.path)
        except OSError:
            return False
        return True


def room_of(root: Path) -> Room:
    """The file system that `root` lies on. OSError."""
    if not hasattr(shutil, "disk_usage"):  # a system that does not tell
        return Room(0, 1 << 62)
    usage = shutil.disk_usage(root)
    return Room(usage.total, usage.free)
