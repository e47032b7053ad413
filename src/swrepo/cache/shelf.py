"""The files of a cache's objects: found, made and named in the directory that has the cache's name at the moment.

Says nothing of where objects come from. What the disk refuses is `Refused`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from swrepo.cache.boots import Boots, boot_id
from swrepo.cache.directory import Enter, refusal
from swrepo.cache.finding import opened
from swrepo.cache.passing import Detour
from swrepo.cache.places import PATIENCE, Places, Refused
from swrepo.cache.quota import Quota
from swrepo.cache.writing import Content, install
from swrepo.errors import SwrepoError
from swrepo.format.object_id import Kind
from swrepo.objects.store import Want

SMALL = 1 << 20
"""Plain bytes of an object that is held in memory until it is whole."""

_FILES = (Kind.FILE, Kind.PARTIAL)


class Shelf:
    """Safe from any thread; usable after a fork. `is_volatile`: files that come now are the first to be evicted.

    `detour`: whether the disk is to be left out at the moment.
    """

    def __init__(
        self,
        root: Path,
        enter_directory: Enter,
        quota: Quota | None,
        boot: bytes | None,
        writers: int,
        clock: Callable[[], float],
    ) -> None:
        """See DiskCache."""
        self.root = root
        self.quota = quota
        self.is_volatile = False
        self.detour = Detour(root, clock)
        self._one_at_a_time = threading.Lock() if writers == 1 else threading.Semaphore(writers)
        try:
            self._places = Places(root, enter_directory, clock)
        except Refused as refused:
            raise refused.reason from refused
        if quota is not None:
            quota.look()
        self.boots = Boots(root, boot_id() if boot is None else boot)
        self._places.on_change = self.boots.begin_again

    def find(self, want: Want) -> int | None:
        """A descriptor of what is here."""
        found = opened(self._places.current, self.boots, want)
        if found is None:
            return None
        descriptor, status = found
        if self.quota is not None:
            self.quota.used(want.id.cache_path, status.st_atime)
            if want.id.kind is Kind.CATALOG:
                self.quota.pins.pin(want.id.cache_path, descriptor)
        return descriptor

    def is_here(self, want: Want) -> bool:
        """Whether an object is here and whole."""
        descriptor = self.find(want)
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is not None

    def open(self, name: str) -> int | None:
        """A descriptor of a file in the directory that is nobody's object; None where there is none."""
        found = self._places.current.open(".", name)
        return None if found is None else found[0]

    def keep(self, want: Want, plain: bytes) -> int:
        """Make the file of a small object; its size. Refused."""
        with self._one_at_a_time:
            self.install(plain, *place_of(want), first=self._goes_first(want))
        return len(plain)

    def write(self, want: Want, content: Callable[[BinaryIO], object]) -> None:
        """Make the file of an object from what `content` writes, and raises. Refused."""
        self.install(content, *place_of(want), first=self._goes_first(want))

    def install(self, content: Content, directory: str, name: str, *, first: bool = False) -> None:
        """Make a file and give it its name; start over where the cache was removed meanwhile. Refused."""
        for is_last in (*[False] * PATIENCE, True):
            place = self._places.borrow()
            try:
                self.boots.begin()
                install(place, content, directory, name, self.boots.boot, goes_first=first)
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

    def follow(self) -> None:
        """Use the directory that has the cache's name now, where the one in use was removed."""
        try:
            self._places.follow()
        except Refused as refused:
            self.begin_detour(refused)

    def begin_detour(self, refused: Refused) -> None:
        """Keep nothing for a while, with a warning; of a cache that is closed, whoever still fetches needs none."""
        if not self._places.is_closed:
            self.detour.begin(refused.reason)

    def close(self) -> None:
        """Remove this process's unfinished files, and let go of the directory."""
        self.boots.close()
        if self.quota is not None:
            self.quota.close()
        self._places.close()

    def _goes_first(self, want: Want) -> bool:
        return self.is_volatile and want.id.kind in _FILES


def place_of(want: Want) -> tuple[str, str]:
    """Directory and name in the cache."""
    path = want.id.cache_path
    return path[:2], path[3:]
