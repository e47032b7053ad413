"""What becomes of an object that a cache lacks: fetched and kept, or handed through where keeping is no use."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

from swrepo.cache.counters import Counting
from swrepo.cache.directory import refusal
from swrepo.cache.finding import checked_size
from swrepo.cache.passing import Passing
from swrepo.cache.places import Refused
from swrepo.cache.shelf import SMALL, Shelf
from swrepo.cache.writing import sync
from swrepo.errors import CacheFull, SwrepoError
from swrepo.objects.store import ObjectSource, Want, whole_from
from swrepo.system.positional import read_and_close

Brought = bytes | Passing | None
"""What became of an object: its bytes, which are in the cache too; kept nowhere else; or in the cache."""


class Filling:
    """Safe from any thread. One object is for one thread at a time."""

    def __init__(self, shelf: Shelf, source: ObjectSource, counting: Counting) -> None:
        self._shelf = shelf
        self._source = source
        self._counting = counting
        self._fetch_whole = whole_from(source)

    def fill(self, want: Want) -> Brought:
        """Fetch what is not here; under Combine, so by one thread at a time for each object."""
        self._shelf.follow()
        descriptor = self._shelf.find(want)
        if descriptor is not None:  # another process, or a fetch that ended between our looking and our asking
            os.close(descriptor)
            return None
        return self._brought(want)

    def read_or_fill(self, want: Want) -> Brought:
        """The same, where nobody has looked yet, and the bytes are wanted."""
        self._shelf.follow()
        descriptor = self._shelf.find(want)
        if descriptor is None:
            return self._brought(want)
        self._counting.hit()
        return read_and_close(descriptor, want.size or 0)

    def fetch_past(self, want: Want) -> tuple[Passing, int]:
        """Fetch an object without keeping it; and its size."""
        try:
            passing = Passing(want.size)
            return passing, checked_size(want, passing.fill(lambda file: self._source.fetch(want, file)))
        except SwrepoError:  # of the source; some of them are an OSError too
            raise
        except OSError as error:
            raise refusal(self._shelf.root, error) from error

    def _brought(self, want: Want) -> Brought:
        try:
            brought, size = self._fetch(want)
        except BaseException:
            self._counting.failed()
            raise
        self._counting.fetched(size, kept=not isinstance(brought, Passing))
        return brought

    def _fetch(self, want: Want) -> tuple[Brought, int]:
        """Keep the object, or hand it through where that is no use; and its size."""
        fits = self._shelf.quota is None or want.size is None or self._shelf.quota.admit(want.size)
        if not fits or self._shelf.detour.is_on():
            return self.fetch_past(want)
        if want.size is not None and want.size <= SMALL:
            return self._fetch_small(want)
        size = self._kept(want, lambda: self._fetch_large(want))
        return self.fetch_past(want) if size is None else (None, size)

    def _kept(self, want: Want, keep: Callable[[], int]) -> int | None:
        """Have `keep` keep an object, evicting others if need be; its size, or None where that is no use."""
        try:
            size = keep()
        except Refused as refused:
            try:
                is_full = isinstance(refused.reason, CacheFull)
                if not is_full or self._shelf.quota is None or not self._shelf.quota.clean(at_once=True):
                    raise
                size = keep()
            except Refused:
                if not isinstance(refused.__cause__, FileNotFoundError):  # else the next object may be luckier
                    self._shelf.begin_detour(refused)
                return None
        self._shelf.detour.end()
        self._shelf.boots.fetched(want.id.cache_path)
        return size

    def _fetch_small(self, want: Want) -> tuple[Brought, int]:
        """By way of memory, so that the file is a few short system calls, made by one thread at a time.

        Each of them lets go of the interpreter lock; among many threads that do the same, getting it back takes five
        times as long as all the rest.
        """
        plain = self._fetch_whole(want)
        size = checked_size(want, len(plain))
        if self._kept(want, lambda: self._shelf.keep(want, plain)) is not None:
            return plain, size
        try:
            passing = Passing(size)
            passing.fill(lambda file: file.write(plain))
        except OSError as error:
            raise refusal(self._shelf.root, error) from error
        return passing, size

    def _fetch_large(self, want: Want) -> int:
        size = 0

        def write(file: BinaryIO) -> None:
            nonlocal size
            self._source.fetch(want, file)
            size = checked_size(want, file.tell())
            if want.size is None:
                # At every opening the size tells what a power cut left of a file; where it is not known, we must sync.
                sync(file)
                if self._shelf.quota is not None:
                    self._shelf.quota.admit(size)

        self._shelf.write(want, write)
        return size
