"""Objects on the client's disk: plain bytes under the digest of their stored form, put there only after verification.

Layout of the original (format.md 11): `XX/REST`, no letter for the kind; `txn/`; `cvmfschecksum.FQRN`. Any number of
processes may share the directory; each may be killed at any moment. Stores made of stores: what is not here is fetched
from the source that was given.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from swrepo.cache.arriving import Arriving
from swrepo.cache.boots import Boots, boot_id
from swrepo.cache.counters import CacheCounters, Counting
from swrepo.cache.directory import Enter, enter, refusal
from swrepo.cache.finding import checked_size, opened
from swrepo.cache.notes import Notes
from swrepo.cache.passing import PAUSE, Detour, Passing
from swrepo.cache.places import PATIENCE, Places, Refused
from swrepo.cache.quota import Quota
from swrepo.cache.writing import Content, install, sync
from swrepo.errors import CacheFull, SwrepoError
from swrepo.format.object_id import Kind
from swrepo.objects.combine import Claim, Combine
from swrepo.objects.store import DOCUMENT_LIMIT, Coming, ObjectSource, Want, beginning, fetch_many, whole_from
from swrepo.system.positional import read_and_close

_SMALL = 1 << 20
"""Plain bytes of an object that is held in memory until it is whole."""

_SLOW = 0.5
"""Seconds that keeping a small object takes, from which on no thread is to do it that has something else to do."""

_FILES = (Kind.FILE, Kind.PARTIAL)

_Brought = bytes | Passing | None
"""What became of an object: its bytes, which are in the cache too; kept nowhere else; or in the cache."""


class DiskCache(Notes):
    """LocalObjects over a directory, filled from `source`. Safe from any thread; usable after a fork.

    `is_volatile`: files that come from now on are the first to be evicted.
    """

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
        self._fetch_whole = whole_from(source)
        self._begin = beginning(source)
        self.quota = quota
        self._detour = Detour(root, clock)
        self._combine: Combine[str, _Brought] = Combine()
        self._counting = Counting()
        self.is_volatile = False
        self.root = root
        self._clock = clock
        self._not_at_once_before = 0.0 if writers == 1 else float("inf")
        self._one_at_a_time = threading.Lock() if writers == 1 else threading.Semaphore(writers)
        try:
            self._places = Places(root, enter_directory, clock)
        except Refused as refused:
            raise refused.reason from refused
        if quota is not None:
            quota.look()
        self._boots = Boots(root, boot_id() if boot is None else boot)
        self._places.on_change = self._boots.begin_again

    def open(self, want: Want) -> int:
        """See LocalObjects."""
        descriptor = self.open_if_here(want)
        for _ in range(PATIENCE):
            if descriptor is not None:
                return descriptor
            brought = self._combine.run(want.id.cache_path, lambda: self._fill(want))
            descriptor = brought.open() if isinstance(brought, Passing) else self._find(want)
        return self._fetch_past(want)[0].open() if descriptor is None else descriptor

    def open_if_here(self, want: Want) -> int | None:
        """See LocalObjects."""
        descriptor = self._find(want)
        if descriptor is not None:
            self._counting.hit()
        return descriptor

    def read_whole(self, want: Want) -> bytes:
        """See LocalObjects. What was fetched just now is given from memory."""
        if want.size is None or want.size > _SMALL:
            return read_and_close(self.open(want), want.size or 0)
        brought = self._combine.run(want.id.cache_path, lambda: self._read_or_fill(want))
        if isinstance(brought, bytes):
            return brought
        return read_and_close(self.open(want) if brought is None else brought.open(), want.size)

    def bring(self, want: Want) -> bool:
        """See BringsAhead."""
        return not isinstance(self._combine.run(want.id.cache_path, lambda: self._fill(want)), Passing)

    def bring_many(
        self, wants: Sequence[Want], arrived: Callable[[Want, bool], object], source: ObjectSource | None = None
    ) -> list[Want]:
        """See BringsAhead. What somebody else is fetching is left: `bring` waits for that."""
        self._follow()
        left: list[Want] = []
        claims: dict[Want, Claim[str, _Brought]] = {}
        for want in wants:
            claim = self._combine.claim(want.id.cache_path)
            if claim is None:
                left.append(want)
            elif self._is_here(want):
                claim.done(None)
                arrived(want, True)  # noqa: FBT003 - see BringsAhead
            elif self._suits_a_batch(want):
                claims[want] = claim
            else:
                claim.drop()
                left.append(want)

        def keep(want: Want, plain: bytes) -> None:
            try:
                self._keep(want, plain)
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
        if self._detour.is_on() or self._clock() < self._not_at_once_before or not self._has_room(want):
            return None
        claim = self._combine.claim(want.id.cache_path)
        if claim is None:
            return None
        coming = None
        try:
            coming = None if self._is_here(want) else self._begin(want)
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
        found = self._places.current.open(".", name)
        if found is None:
            return []
        with os.fdopen(found[0], "rb") as file:
            return [file.read(DOCUMENT_LIMIT)]

    def write_note(self, name: str, data: bytes) -> None:
        """See Notes."""

        def write(file: BinaryIO) -> None:
            file.write(data)
            sync(file)

        try:
            self._install(write, ".", name)
        except Refused as refused:
            self._begin_detour(refused)

    @property
    def counters(self) -> CacheCounters:
        return self._counting.now

    def settle(self) -> None:
        """Bring to the disk what came, so that nothing of it is suspect after a restart. May take a while."""
        self._boots.settle()

    def close(self) -> None:
        """Remove this process's unfinished files. The cache is not to be used afterwards."""
        self._boots.close()
        if self.quota is not None:
            self.quota.close()
        self._places.close()

    def _find(self, want: Want) -> int | None:
        """A descriptor of what is here."""
        found = opened(self._places.current, self._boots, want)
        if found is None:
            return None
        descriptor, status = found
        if self.quota is not None:
            self.quota.used(want.id.cache_path, status.st_atime)
            if want.id.kind is Kind.CATALOG:
                self.quota.pins.pin(want.id.cache_path, descriptor)
        return descriptor

    def _fill(self, want: Want) -> _Brought:
        """Fetch what is not here; under Combine, so by one thread at a time for each object."""
        self._follow()
        descriptor = self._find(want)
        if descriptor is not None:  # another process, or a fetch that ended between our looking and our asking
            os.close(descriptor)
            return None
        return self._brought(want)

    def _read_or_fill(self, want: Want) -> _Brought:
        """The same, where nobody has looked yet, and the bytes are wanted."""
        self._follow()
        descriptor = self._find(want)
        if descriptor is None:
            return self._brought(want)
        self._counting.hit()
        return read_and_close(descriptor, want.size or 0)

    def _brought(self, want: Want) -> _Brought:
        try:
            brought, size = self._fetch(want)
        except BaseException:
            self._counting.failed()
            raise
        self._counting.fetched(size, kept=not isinstance(brought, Passing))
        return brought

    def _fetch(self, want: Want) -> tuple[_Brought, int]:
        """Keep the object, or hand it through where that is no use; and its size."""
        fits = self.quota is None or want.size is None or self.quota.admit(want.size)
        if not fits or self._detour.is_on():
            return self._fetch_past(want)
        if want.size is not None and want.size <= _SMALL:
            return self._fetch_small(want)
        size = self._kept(want, lambda: self._fetch_large(want))
        return self._fetch_past(want) if size is None else (None, size)

    def _kept(self, want: Want, keep: Callable[[], int]) -> int | None:
        """Have `keep` keep an object, evicting others if need be; its size, or None where that is no use."""
        try:
            size = keep()
        except Refused as refused:
            try:
                is_full = isinstance(refused.reason, CacheFull)
                if not is_full or self.quota is None or not self.quota.clean(at_once=True):
                    raise
                size = keep()
            except Refused:
                if not isinstance(refused.__cause__, FileNotFoundError):  # else the next object may be luckier
                    self._begin_detour(refused)
                return None
        self._detour.end()
        self._boots.fetched(want.id.cache_path)
        return size

    def _fetch_past(self, want: Want) -> tuple[Passing, int]:
        try:
            passing = Passing(want.size)
            return passing, checked_size(want, passing.fill(lambda file: self._source.fetch(want, file)))
        except SwrepoError:  # of the source; some of them are an OSError too
            raise
        except OSError as error:
            raise refusal(self.root, error) from error

    def _fetch_small(self, want: Want) -> tuple[_Brought, int]:
        """By way of memory, so that the file is a few short system calls, made by one thread at a time.

        Each of them lets go of the interpreter lock; among many threads that do the same, getting it back takes five
        times as long as all the rest.
        """
        plain = self._fetch_whole(want)
        size = checked_size(want, len(plain))
        if self._kept(want, lambda: self._keep(want, plain)) is not None:
            return plain, size
        try:
            passing = Passing(size)
            passing.fill(lambda file: file.write(plain))
        except OSError as error:
            raise refusal(self.root, error) from error
        return passing, size

    def _keep(self, want: Want, plain: bytes) -> int:
        with self._one_at_a_time:
            self._install(plain, *_place(want), first=self._goes_first(want))
        return len(plain)

    def _keep_at_once(self, want: Want, plain: bytes) -> None:
        """For `begin`; where that cannot be done, or takes long, the ordinary way finds out what to do about it."""
        start = self._clock()
        is_kept = self._has_room(want) and (self.quota is None or self.quota.admit(len(plain)))
        try:
            if is_kept:
                self._keep(want, plain)
                self._boots.fetched(want.id.cache_path)
                self._detour.end()
        except Refused:
            is_kept = False
        end = self._clock()
        if not is_kept or end - start > _SLOW:
            self._not_at_once_before = end + PAUSE
        self._counting.fetched(len(plain), kept=is_kept)

    def _is_here(self, want: Want) -> bool:
        descriptor = self._find(want)
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is not None

    def _suits_a_batch(self, want: Want) -> bool:
        if want.size is None or want.size > _SMALL or self._detour.is_on():
            return False
        return self.quota is None or self.quota.admit(want.size)

    def _has_room(self, want: Want) -> bool:
        """Whether it is a small object for which nothing has to go."""
        if want.size is None or want.size > _SMALL:
            return False
        return self.quota is None or self.quota.has_room(want.size)

    def _fetch_large(self, want: Want) -> int:
        size = 0

        def write(file: BinaryIO) -> None:
            nonlocal size
            self._source.fetch(want, file)
            size = checked_size(want, file.tell())
            if want.size is None:
                # At every opening the size tells what a power cut left of a file; where it is not known, we must sync.
                sync(file)
                if self.quota is not None:
                    self.quota.admit(size)

        self._install(write, *_place(want), first=self._goes_first(want))
        return size

    def _goes_first(self, want: Want) -> bool:
        return self.is_volatile and want.id.kind in _FILES

    def _install(self, content: Content, directory: str, name: str, *, first: bool = False) -> None:
        """Make a file and give it its name; start over where the cache was removed meanwhile. Refused."""
        for is_last in (*[False] * PATIENCE, True):
            place = self._places.borrow()
            try:
                self._boots.begin()
                install(place, content, directory, name, self._boots.boot, goes_first=first)
            except SwrepoError:  # of who writes the content; some of them are an OSError too
                raise
            except OSError as error:
                if is_last or not isinstance(error, FileNotFoundError):
                    raise Refused(refusal(self.root, error)) from error
                self._places.leave(place)
            else:
                return
            finally:
                self._places.give_back(place)

    def _follow(self) -> None:
        """Use the directory that has the cache's name now, where the one in use was removed."""
        try:
            self._places.follow()
        except Refused as refused:
            self._begin_detour(refused)

    def _begin_detour(self, refused: Refused) -> None:
        """Keep nothing for a while, with a warning; of a cache that is closed, whoever still fetches needs none."""
        if not self._places.is_closed:
            self._detour.begin(refused.reason)


def _place(want: Want) -> tuple[str, str]:
    """Directory and name in the cache."""
    path = want.id.cache_path
    return path[:2], path[3:]
