"""A cache that is never written to: an image layer, somebody else's directory on NFS, what `swrepo preload` filled.

What it lacks is handed through from the source and not kept.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from swrepo.cache.boots import Boots, boot_id
from swrepo.cache.counters import CacheCounters, Counting
from swrepo.cache.directory import enter_to_read, refusal
from swrepo.cache.finding import checked_size, opened
from swrepo.cache.notes import Notes
from swrepo.cache.passing import Passing
from swrepo.cache.quota import Quota
from swrepo.errors import PermissionRefused, SwrepoError
from swrepo.objects.combine import Combine
from swrepo.objects.store import DOCUMENT_LIMIT, ObjectSource, Want
from swrepo.system.atomic import write_atomically
from swrepo.system.positional import read_and_close

log = logging.getLogger(__name__)


class ReadOnlyCache(Notes):
    """LocalObjects over a directory that others fill. Safe from any thread; usable after a fork."""

    quota: Quota | None = None
    is_volatile = False

    def __init__(
        self, root: Path, source: ObjectSource, *, workspace: Path | None = None, boot: bytes | None = None
    ) -> None:
        """`workspace`: where notes are left instead. PermissionRefused where `root` cannot be read."""
        self.root = root
        self._source = source
        self._workspace = workspace
        self._combine: Combine[str, Passing] = Combine()
        self._counting = Counting()
        try:
            self._directory = enter_to_read(root)
        except OSError as error:
            reason = error.strerror or str(error)
            raise PermissionRefused(f"the read-only cache {root} cannot be opened: {reason}; was it filled?") from error
        self._boots = Boots(root, boot_id() if boot is None else boot)

    def open(self, want: Want) -> int:
        """See LocalObjects."""
        descriptor = self.open_if_here(want)
        if descriptor is None:
            descriptor = self._combine.run(want.id.cache_path, lambda: self._fetch(want)).open()
        return descriptor

    def open_if_here(self, want: Want) -> int | None:
        """See LocalObjects."""
        found = opened(self._directory, self._boots, want)
        if found is None:
            return None
        self._counting.hit()
        return found[0]

    def read_whole(self, want: Want) -> bytes:
        """See LocalObjects."""
        return read_and_close(self.open(want), want.size or 0)

    def open_in_any(self, want: Want) -> int | None:
        """The same, in whatever tier it is."""
        return self.open_if_here(want)

    def evict(self, want: Want) -> bool:
        """Nothing is removed."""
        del want
        return False

    def read_notes(self, name: str) -> list[bytes]:
        """See Notes."""
        found = []
        here = self._directory.open(".", name)
        if here is not None:
            with os.fdopen(here[0], "rb") as file:
                found.append(file.read(DOCUMENT_LIMIT))
        if self._workspace is not None:
            with suppress(OSError), (self._workspace / name).open("rb") as file:
                found.append(file.read(DOCUMENT_LIMIT))
        return found

    def write_note(self, name: str, data: bytes) -> None:
        """See Notes."""
        if self._workspace is None:
            return
        try:
            self._workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._workspace / name, data, 0o600)
        except OSError as error:
            log.warning("%s cannot be kept in %s: %s", name, self._workspace, error.strerror)

    @property
    def counters(self) -> CacheCounters:
        return self._counting.now

    def settle(self) -> None:
        """Nothing was written."""

    def close(self) -> None:
        """Let go of the directory."""
        self._directory.close()

    def _fetch(self, want: Want) -> Passing:
        try:
            passing = Passing(want.size)
            size = checked_size(want, passing.fill(lambda file: self._source.fetch(want, file)))
        except SwrepoError:  # of the source; some of them are an OSError too
            self._counting.failed()
            raise
        except OSError as error:
            self._counting.failed()
            raise refusal(self.root, error) from error
        self._counting.fetched(size, kept=False)
        return passing
