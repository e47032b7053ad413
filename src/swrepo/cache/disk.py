"""Objects on the client's disk: plain bytes under the digest of their stored form, put there only after verification.

Layout of the original (format.md 11): `XX/REST`, no letter for the kind; `txn/`; `cvmfschecksum.FQRN`. Any number of
processes may share the directory; each may be killed at any moment. Stores made of stores: what is not here is fetched
from the source that was given.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from swrepo.cache.arriving import Arriving
from swrepo.cache.counters import CacheCounters, Counting
from swrepo.cache.directory import Enter, enter, refusal
from swrepo.cache.filling import Brought, Filling
from swrepo.cache.notes import Notes
from swrepo.cache.passing import PAUSE, Passing
from swrepo.cache.places import PATIENCE, Refused
from swrepo.cache.quota import Quota
from swrepo.cache.shelf import SMALL, Shelf
from swrepo.cache.writing import sync
from swrepo.objects.combine import Claim, Combine
from swrepo.objects.store import DOCUMENT_LIMIT, Coming, ObjectSource, Want, beginning, fetch_many
from swrepo.system.positional import read_and_close

_SLOW = 0.5
"""Seconds that keeping a small object takes, from which on no thread is to do it that has something else to do."""


class DiskCache(Notes):
    """LocalObjects over a directory, filled from `source`. Safe from any thread; usable after a fork."""

    def __init__(
        self,
        root: Path,
        source: ObjectSource,
        enter_directory: Enter = enter,
        *,
        quota: Quota | None = None,
        boot: bytes | None = None,
        writers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without `quota` it grows as the disk lets it. PermissionRefused or CacheFull where `root` cannot be used.

        `writers`: threads that write small files at a time; more than one where each has to wait for a slow disk.
        """
        self._source = source
        self._begin = beginning(source)
        self.root = root
        self.quota = quota
        self._clock = clock
        self._not_at_once_before = 0.0 if writers == 1 else float("inf")
        self._combine: Combine[str, Brought] = Combine()
        self._counting = Counting()
        self._shelf = Shelf(root, enter_directory, quota, boot, writers, clock)
        self._boots = self._shelf.boots
        self._filling = Filling(self._shelf, source, self._counting)

    @property
    def is_volatile(self) -> bool:
        """Whether files that come from now on are the first to be evicted; may be set."""
        return self._shelf.is_volatile

    @is_volatile.setter
    def is_volatile(self, value: bool) -> None:
        self._shelf.is_volatile = value

    def open(self, want: Want) -> int:
        """See LocalObjects."""
        descriptor = self.open_if_here(want)
        for _ in range(PATIENCE):
            if descriptor is not None:
                return descriptor
            brought = self._combine.run(want.id.cache_path, lambda: self._filling.fill(want))
            descriptor = brought.open() if isinstance(brought, Passing) else self._shelf.find(want)
        return self._filling.fetch_past(want)[0].open() if descriptor is None else descriptor

    def open_if_here(self, want: Want) -> int | None:
        """See LocalObjects."""
        descriptor = self._shelf.find(want)
        if descriptor is not None:
            self._counting.hit()
        return descriptor

    def read_whole(self, want: Want) -> bytes:
        """See LocalObjects. What was fetched just now is given from memory."""
        if want.size is None or want.size > SMALL:
            return read_and_close(self.open(want), want.size or 0)
        brought = self._combine.run(want.id.cache_path, lambda: self._filling.read_or_fill(want))
        if isinstance(brought, bytes):
            return brought
        return read_and_close(self.open(want) if brought is None else brought.open(), want.size)

    def bring(self, want: Want) -> bool:
        """See BringsAhead."""
        return not isinstance(self._combine.run(want.id.cache_path, lambda: self._filling.fill(want)), Passing)

    def bring_many(
        self, wants: Sequence[Want], arrived: Callable[[Want, bool], object], source: ObjectSource | None = None
    ) -> list[Want]:
        """See BringsAhead. What somebody else is fetching is left: `bring` waits for that."""
        self._shelf.follow()
        left: list[Want] = []
        claims: dict[Want, Claim[str, Brought]] = {}
        for want in wants:
            claim = self._combine.claim(want.id.cache_path)
            if claim is None:
                left.append(want)
            elif self._shelf.is_here(want):
                claim.done(None)
                arrived(want, True)  # noqa: FBT003 - see BringsAhead
            elif self._suits_a_batch(want):
                claims[want] = claim
            else:
                claim.drop()
                left.append(want)

        def keep(want: Want, plain: bytes) -> None:
            try:
                self._shelf.keep(want, plain)
            except Refused:  # it is left, and `bring` knows what to do about it
                return
            self._boots.fetched(want.id.cache_path)
            self._counting.fetched(len(plain), kept=True)
            claims.pop(want).done(plain)
            arrived(want, False)  # noqa: FBT003

        try:
            if claims:
                fetch_many(source or self._source, list(claims), keep)
            return left + list(claims)
        finally:
            for claim in claims.values():
                claim.drop()

    def begin(self, want: Want) -> Coming | None:
        """See BeginsFetching: what comes is kept. Not where writing takes long, or something would have to go first."""
        if self._shelf.detour.is_on() or self._clock() < self._not_at_once_before or not self._has_room(want):
            return None
        claim = self._combine.claim(want.id.cache_path)
        if claim is None:
            return None
        coming = None
        try:
            coming = None if self._shelf.is_here(want) else self._begin(want)
        finally:
            if coming is None:
                claim.drop()
        return None if coming is None else Arriving(coming, claim, partial(self._keep_at_once, want))

    def open_in_any(self, want: Want) -> int | None:
        """The same, in whatever tier it is."""
        return self.open_if_here(want)

    def evict(self, want: Want) -> bool:
        """Remove an object; whether it was here. Who has it open keeps it. PermissionRefused."""
        path = self.root / want.id.cache_path
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise refusal(self.root, error) from error
        if self.quota is not None:
            self.quota.forget(size)
        return True

    def read_notes(self, name: str) -> list[bytes]:
        """See Notes."""
        descriptor = self._shelf.open(name)
        if descriptor is None:
            return []
        with os.fdopen(descriptor, "rb") as file:
            return [file.read(DOCUMENT_LIMIT)]

    def write_note(self, name: str, data: bytes) -> None:
        """See Notes."""

        def write(file: BinaryIO) -> None:
            file.write(data)
            sync(file)

        try:
            self._shelf.install(write, ".", name)
        except Refused as refused:
            self._shelf.begin_detour(refused)

    @property
    def counters(self) -> CacheCounters:
        return self._counting.now

    def settle(self) -> None:
        """Bring to the disk what came, so that nothing of it is suspect after a restart. May take a while."""
        self._boots.settle()

    def close(self) -> None:
        """Remove this process's unfinished files. The cache is not to be used afterwards."""
        self._shelf.close()

    def _keep_at_once(self, want: Want, plain: bytes) -> None:
        """For `begin`; where that cannot be done, or takes long, the ordinary way finds out what to do about it."""
        start = self._clock()
        is_kept = self._has_room(want) and (self.quota is None or self.quota.admit(len(plain)))
        try:
            if is_kept:
                self._shelf.keep(want, plain)
                self._boots.fetched(want.id.cache_path)
                self._shelf.detour.end()
        except Refused:
            is_kept = False
        end = self._clock()
        if not is_kept or end - start > _SLOW:
            self._not_at_once_before = end + PAUSE
        self._counting.fetched(len(plain), kept=is_kept)

    def _suits_a_batch(self, want: Want) -> bool:
        if want.size is None or want.size > SMALL or self._shelf.detour.is_on():
            return False
        return self.quota is None or self.quota.admit(want.size)

    def _has_room(self, want: Want) -> bool:
        """Whether it is a small object for which nothing has to go."""
        if want.size is None or want.size > SMALL:
            return False
        return self.quota is None or self.quota.has_room(want.size)
