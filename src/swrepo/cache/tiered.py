"""Two caches, one above the other: a fast one that is small, and a large one that is slow, or read-only.

Made of other caches: `Below` is the lower one as a source for the upper one, which so copies what it needs. Without it
what the lower one has is read where it is.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

from swrepo.cache import record
from swrepo.cache.counters import CacheCounters
from swrepo.cache.disk import DiskCache
from swrepo.cache.notes import Notes
from swrepo.cache.quota import Quota
from swrepo.cache.readonly import ReadOnlyCache
from swrepo.errors import CacheFull, PermissionRefused
from swrepo.objects.store import ObjectSource, Want, fetch_many
from swrepo.system.positional import read_and_close

log = logging.getLogger(__name__)

_BLOCK = 1 << 20


Tier: TypeAlias = "DiskCache | ReadOnlyCache | TieredCache"


class Below:
    """ObjectSource over a cache. What is copied is checked against the checksum that was noted when it came.

    `_lock` guards the counters.
    """

    def __init__(self, lower: Tier, source: ObjectSource, *, fills: bool) -> None:
        """`fills`: what `lower` lacks comes by way of it, and is kept there; otherwise straight from `source`."""
        self._lower = lower
        self._source = source
        self._fills = fills
        self._has_failed = False
        self._lock = threading.Lock()
        self._copies = self._copied_bytes = 0

    @property
    def copied(self) -> tuple[int, int]:
        """Objects and bytes that came from the lower cache."""
        with self._lock:
            return self._copies, self._copied_bytes

    def fetch(self, want: Want, out: BinaryIO) -> None:
        """See ObjectSource."""
        descriptor = self._open(want)
        if descriptor is not None:
            try:
                size = _copied(descriptor, out)
            finally:
                os.close(descriptor)
            if size is not None and want.size in (None, size):
                with self._lock:
                    self._copies += 1
                    self._copied_bytes += size
                return
            log.warning("object %s is damaged in the lower cache %s; the server is asked", want.id, self._lower.root)
            out.seek(0)
            out.truncate()
        self._source.fetch(want, out)

    def fetch_many(self, wants: Sequence[Want], deliver: Callable[[Want, bytes], object]) -> list[Want]:
        """See FetchesMany: what the lower cache has, or is to get, comes one by one."""
        if self._fills:
            return list(wants)
        missing = [want for want in wants if not _is_here(self._lower, want)]
        there = [want for want in wants if want not in missing]
        return there + fetch_many(self._source, missing, deliver)

    def _open(self, want: Want) -> int | None:
        if not self._fills:
            return self._lower.open_if_here(want)
        try:
            return self._lower.open(want)
        except (CacheFull, PermissionRefused) as error:  # a lower cache that cannot be used is no reason not to read
            if not self._has_failed:
                self._has_failed = True
                log.warning("the lower cache is left out: %s", error)
            return None


class TieredCache(Notes):
    """LocalObjects of two caches. `below` is what `upper` was given as its source; None: `lower` is read in place."""

    def __init__(self, upper: Tier, lower: Tier, below: Below | None) -> None:
        self._upper = upper
        self._lower = lower
        self._below = below

    def open(self, want: Want) -> int:
        """See LocalObjects."""
        if self._below is None:
            descriptor = self.open_if_here(want)
            if descriptor is not None:
                return descriptor
        return self._upper.open(want)

    def open_if_here(self, want: Want) -> int | None:
        """See LocalObjects. What would have to be copied is not here: that may take a while."""
        descriptor = self._upper.open_if_here(want)
        if descriptor is None and self._below is None:
            return self._lower.open_if_here(want)
        return descriptor

    def read_whole(self, want: Want) -> bytes:
        """See LocalObjects."""
        descriptor = self.open_if_here(want) if self._below is None else None
        return self._upper.read_whole(want) if descriptor is None else read_and_close(descriptor, want.size or 0)

    def evict(self, want: Want) -> bool:
        """See DiskCache: from both, as far as they can be written to."""
        return bool(self._upper.evict(want) + self._lower.evict(want))

    def open_in_any(self, want: Want) -> int | None:
        """The same, but where it is, even if it would have to be copied."""
        descriptor = self._upper.open_in_any(want)
        return self._lower.open_in_any(want) if descriptor is None else descriptor

    def read_notes(self, name: str) -> list[bytes]:
        """See Notes."""
        return [*self._upper.read_notes(name), *self._lower.read_notes(name)]

    def write_note(self, name: str, data: bytes) -> None:
        """See Notes."""
        self._upper.write_note(name, data)

    @property
    def root(self) -> Path:
        """That of the upper one, whose limit `quota` is."""
        return self._upper.root

    @property
    def quota(self) -> Quota | None:
        return self._upper.quota

    @property
    def is_volatile(self) -> bool:
        """See DiskCache."""
        return self._upper.is_volatile

    @is_volatile.setter
    def is_volatile(self, value: bool) -> None:
        self._upper.is_volatile = self._lower.is_volatile = value

    @property
    def counters(self) -> CacheCounters:
        """Of both: a hit is what no server was asked for."""
        upper, lower = self._upper.counters, self._lower.counters
        copies, copied = self._below.copied if self._below is not None else (0, 0)
        return CacheCounters(
            upper.hits + lower.hits,
            upper.fetched + lower.fetched - copies,
            upper.failed,
            upper.fetched_bytes + lower.fetched_bytes - copied,
            upper.unkept,
        )

    def settle(self) -> None:
        """See DiskCache."""
        self._upper.settle()
        self._lower.settle()

    def close(self) -> None:
        """See DiskCache."""
        self._upper.close()
        self._lower.close()


def _is_here(cache: Tier, want: Want) -> bool:
    descriptor = cache.open_in_any(want)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def _copied(descriptor: int, out: BinaryIO) -> int | None:
    """Copy a file; its size, or None where it is not what was noted of it."""
    checksum = size = 0
    try:
        while block := os.read(descriptor, _BLOCK):
            out.write(block)
            checksum, size = record.crc32(block, checksum), size + len(block)
    except OSError:  # the disk cannot read it, or the network file system has gone
        return None
    noted = record.read(descriptor)
    return size if noted is None or (noted.checksum, noted.size) == (checksum, size) else None
