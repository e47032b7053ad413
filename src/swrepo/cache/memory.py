"""A cache in memory: a directory of a file system that lies there, removed when its last user leaves.

Processes share it, like any other directory. One that was killed leaves it to the next mount.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from swrepo.cache.boots import NO_BOOT
from swrepo.cache.disk import DiskCache
from swrepo.cache.locking import is_last, join
from swrepo.cache.quota import Quota
from swrepo.errors import ConfigError
from swrepo.objects.store import ObjectSource

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own in it, refused where it is somebody else's
_USERS = "swrepo.users"


class MemoryCache(DiskCache):
    """DiskCache whose objects are gone with its last user."""

    def __init__(self, root: Path, source: ObjectSource, size: int) -> None:
        """At most `size` bytes below `root`. ConfigError where this system has no such place."""
        if not IN_MEMORY.is_dir() and root.is_relative_to(IN_MEMORY):
            raise ConfigError(f"a cache in memory needs {IN_MEMORY}; use one of type posix")
        super().__init__(root, source, quota=Quota(root, size), boot=NO_BOOT)
        self._user = -1
        with suppress(OSError):
            self._user = join(root / _USERS)

    def close(self) -> None:
        """See DiskCache."""
        super().close()
        if self._user >= 0:
            if is_last(self._user):
                shutil.rmtree(self.root, ignore_errors=True)
            os.close(self._user)
            self._user = -1
