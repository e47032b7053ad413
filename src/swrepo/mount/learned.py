"""Which opened files start a profile or a bundle: the short look at every file that is opened."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from swrepo.errors import SwrepoError
from swrepo.format.dirent import Flag
from swrepo.format.paths import basename
from swrepo.format.profile import Profile
from swrepo.mount.learned_local import LocalProfiles
from swrepo.repository import profiles
from swrepo.repository.content import Content
from swrepo.repository.revision import Revision
from swrepo.vfs.tree import Vfs
from swrepo.vfs.volume import Volume

log = logging.getLogger(__name__)

AGAIN_AFTER = 600.0
"""Seconds after which a trigger counts again: by then the cache may have let go of what came."""

_REMEMBERED = 10_000
"""Starts of which it is known when they were."""

_BUNDLE_TRIGGER = int(Flag.BUNDLE_TRIGGER)

_LARGEST_SHARE = 2
"""A profile may fill one in so many parts of a cache that has a limit."""


@dataclass(frozen=True, slots=True)
class LearnedOptions:
    """`profiles`: those of repositories are used. `directory`: those of the node or site, `DIR/FQRN/NAME.json`.

    `bundles`: the file bundles of CernVM-FS 2.14 are used. `most`: bytes that one trigger may have fetched.
    """

    profiles: bool = True
    directory: Path | None = None
    bundles: bool = True
    most: int = 4 << 30


class Start(NamedTuple):
    """A profile or bundle that a file starts. `load` reads it, which may fetch."""

    volume: Volume
    revision: Revision
    name: str
    load: Callable[[], Profile]
    is_bundle: bool = False


class _Table(NamedTuple):
    """The triggers of one revision of a volume, with one `version` of the node's profiles.

    `names`: the last parts of their paths, which are looked at first.
    """

    revision: Revision
    version: int
    names: frozenset[bytes]
    starts: dict[bytes, tuple[Start, ...]]


class Triggers:
    """For one thread at a time (the loop's). `fqrn`: of a repository by its name in the mount."""

    def __init__(
        self,
        vfs: Vfs,
        options: LearnedOptions,
        fqrn: Callable[[str], str | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vfs = vfs
        self._options = options
        self._fqrn = fqrn
        self._clock = clock
        self.local = LocalProfiles(options.directory)
        self._tables: dict[str, _Table] = {}
        self._started: dict[tuple[str, str, str], float] = {}

    def of(self, node: int, content: Content) -> list[Start]:
        """What opening this file starts now."""
        options = self._options
        name = content.entry.name
        has_bundle = options.bundles and bool(content.entry.flags & _BUNDLE_TRIGGER)
        if not has_bundle and not options.profiles and options.directory is None:
            return []
        with self._vfs.lock:
            tables = [self._table(volume) for volume in self._vfs.volumes.values()]
            if not has_bundle and not any(name in table.names for table in tables):
                return []
            try:
                node_ = self._vfs.described(node)
                if node_ is None:
                    return []
                path = node_.path()
            except SwrepoError:  # the file is not in this revision any more
                return []
            found = list(self._table(node_.volume).starts.get(path, ()))
            if has_bundle:
                found.append(_bundle(node_.volume, path))
        return [start for start in found if self._is_due(start)]

    def _is_due(self, start: Start) -> bool:
        key = start.volume.name, start.name, start.revision.root.text
        now = self._clock()
        if now - self._started.get(key, -AGAIN_AFTER) < AGAIN_AFTER:
            return False
        if len(self._started) >= _REMEMBERED:
            self._started.clear()
        self._started[key] = now
        return True

    def _table(self, volume: Volume) -> _Table:
        table = self._tables.get(volume.name)
        version = self.local.version
        if table is None or table.revision is not volume.revision or table.version != version:
            starts: dict[bytes, tuple[Start, ...]] = {}
            for path, start in self._starts(volume):
                others = starts.get(path, ())
                if len(others) < 2 * profiles.MOST_STARTED:  # of the repository, and as many of the node
                    starts[path] = (*others, start)
            names = frozenset(basename(path) for path in starts)
            table = self._tables[volume.name] = _Table(volume.revision, version, names, starts)
        return table

    def _starts(self, volume: Volume) -> Iterator[tuple[bytes, Start]]:
        revision = volume.revision
        if self._options.profiles:
            try:
                published = profiles.triggers(revision)
            except SwrepoError as error:
                log.info("the triggers of %s cannot be read: %s", volume.name or "the repository", error)
                published = {}
            for path, names in published.items():
                for name in names:
                    yield path, Start(volume, revision, name, _loader(revision, name))
        for name, found in self.local.of(self._fqrn(volume.name) or ""):
            for path in found.triggers:
                yield path, Start(volume, revision, f"{name} of this node", lambda found=found: found)  # type: ignore[misc]

    def room(self, limit: int | None) -> int:
        """Bytes that one start may have fetched into a cache with that limit."""
        most = self._options.most
        return most if limit is None else min(most, limit // _LARGEST_SHARE)


def _loader(revision: Revision, name: str) -> Callable[[], Profile]:
    return lambda: profiles.load(revision, name)


def _bundle(volume: Volume, path: bytes) -> Start:
    revision = volume.revision
    name = profiles.bundle_of(path).decode("utf-8", "replace")
    return Start(volume, revision, name, lambda: profiles.load_bundle(revision, path), is_bundle=True)
