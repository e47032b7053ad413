"""The synthetic root: repositories below one directory, where each appears at its first look-up."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from swrepo.repository.revision import Revision
from swrepo.repository.status import Status, status
from swrepo.vfs.listings import AFTER_DOT, AFTER_DOTS, ROOT_NODE, Listed, volume_root
from swrepo.vfs.volume import Volume

_UNKNOWN_NODE = 0xFFFFFFFF
"""What a listing says in place of the number of a repository that was not opened yet; libfuse says the same."""


class Repositories(Protocol):
    """What lies below a synthetic root."""

    def open(self, name: str) -> tuple[Revision, Mapping[str, str]]:
        """Open a repository, fetching what is needed; PathNotFound where there is none of that name."""
        ...


class ManyRepositories:
    """The directory above the repositories `volumes`, which grow in the hands of the `Vfs`.

    `names`: those that are listed before anybody has looked them up. A name keeps its place among those that were ever
    listed, so that a listing goes on where it was when there are more of them meanwhile.
    """

    def __init__(
        self,
        repositories: Repositories,
        volumes: Mapping[str, Volume],
        started: int,
        names: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """`started`: seconds since 1970, the directory's time of modification."""
        self.repositories = repositories
        self._volumes = volumes
        self._started = started
        self._names = names
        self._listed: tuple[str, ...] = tuple(names())
        self._places: dict[str, int] = {}

    def status(self) -> Status:
        """Attributes of the directory itself."""
        return Status(stat.S_IFDIR | 0o555, 2 + len(self._shown()), 0, 0, 0, 4096, self._started, 0)

    def lookup(self, name: str) -> tuple[int, Status] | None:
        """Number and status of a repository's root; None where it still has to be opened."""
        volume = self._volumes.get(name)
        if volume is None:
            return None
        volume.is_used = True
        number, entry = volume_root(volume)
        return number, status(entry, volume.variables)

    def listing(self, cookie: int) -> list[Listed]:
        """The repositories that are listed anyway, then those that were opened, in that order."""
        mode = stat.S_IFDIR
        found = [
            Listed(b".", ROOT_NODE, mode, AFTER_DOT, None),
            Listed(b"..", ROOT_NODE, mode, AFTER_DOTS, None),
        ]
        for name in self._shown():
            volume = self._volumes.get(name)
            number = _UNKNOWN_NODE if volume is None else volume_root(volume)[0]
            place = AFTER_DOTS + 1 + self._places.setdefault(name, len(self._places))
            found.append(Listed(name.encode(), number, mode, place, None))
        return [item for item in sorted(found, key=lambda item: item.cookie) if item.cookie > cookie]

    def look_for_names(self) -> bool:
        """Ask which names are to be listed; whether that changed. May read files."""
        found = tuple(self._names())
        before, self._listed = self._listed, found
        return set(found) != set(before)

    def _shown(self) -> list[str]:
        return list(dict.fromkeys((*self._listed, *self._volumes)))
