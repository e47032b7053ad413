"""The synthetic root: repositories below one directory, where each appears at its first look-up."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from typing import Protocol

from swrepo.repository.revision import Revision
from swrepo.repository.status import Status, status
from swrepo.vfs.listings import AFTER_DOT, AFTER_DOTS, ROOT_NODE, Listed, volume_root
from swrepo.vfs.volume import Volume


class Repositories(Protocol):
    """What lies below a synthetic root."""

    def open(self, name: str) -> tuple[Revision, Mapping[str, str]]:
        """Open a repository, fetching what is needed; PathNotFound where there is none of that name."""
        ...


class ManyRepositories:
    """The directory above the repositories `volumes`, which grow in the hands of the `Vfs`."""

    def __init__(self, repositories: Repositories, volumes: Mapping[str, Volume], started: int) -> None:
        """`started`: seconds since 1970, the directory's time of modification."""
        self.repositories = repositories
        self._volumes = volumes
        self._started = started

    def status(self) -> Status:
        """Attributes of the directory itself."""
        return Status(stat.S_IFDIR | 0o555, 2 + len(self._volumes), 0, 0, 0, 4096, self._started, 0)

    def lookup(self, name: str) -> tuple[int, Status] | None:
        """Number and status of a repository's root; None where it still has to be opened."""
        volume = self._volumes.get(name)
        if volume is None:
            return None
        number, entry = volume_root(volume)
        return number, status(entry, volume.variables)

    def listing(self, cookie: int) -> list[Listed]:
        """The repositories that were opened, in that order."""
        mode = stat.S_IFDIR
        found = [
            Listed(b".", ROOT_NODE, mode, AFTER_DOT, None),
            Listed(b"..", ROOT_NODE, mode, AFTER_DOTS, None),
        ]
        for index, (name, volume) in enumerate(self._volumes.items(), start=AFTER_DOTS + 1):
            found.append(Listed(name.encode(), volume_root(volume)[0], mode, index, None))
        return found[cookie:]
