"""What changes in a tree, as the kernel tells it: the paths that a publication has to look at, and no others.

A directory is watched before what it holds is looked at, so nothing is missed; a path that is named once too often
costs a look. Where the kernel's queue was too short for what happened, everything has to be compared.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from swrepo.errors import NotFound, PermissionRefused, PublishError
from swrepo.format.paths import ROOT, is_within, join
from swrepo.publish.changed import Touched
from swrepo.system import inotify
from swrepo.system.inotify import Event

_MOST = 200_000
"""Paths; where more have changed, comparing everything is no more work."""

_GONE = inotify.DELETE | inotify.MOVED_FROM
_COME = inotify.CREATE | inotify.MOVED_TO


class Notices(Protocol):
    """What is used of `system.inotify`."""

    def add(self, directory: bytes) -> int: ...

    def remove(self, watch: int) -> None: ...

    def read(self) -> Sequence[Event]: ...


@dataclass(slots=True)
class Changes:
    """Paths that have to be looked at; `everything`: all of them."""

    everything: bool = False
    trees: set[bytes] = field(default_factory=set)
    entries: set[bytes] = field(default_factory=set)

    @property
    def touched(self) -> Touched | None:
        """For a publication: None has it compare everything."""
        return None if self.everything else Touched(frozenset(self.trees), frozenset(self.entries))

    def add(self, other: Changes) -> None:
        """Look at those of another, too."""
        self.everything = self.everything or other.everything
        if not self.everything:
            self.trees |= other.trees
            self.entries |= other.entries
            self.everything = len(self.trees) + len(self.entries) > _MOST
        if self.everything:
            self.trees.clear()
            self.entries.clear()


class TreeWatch:
    """Watches every directory of the tree `top`. For one thread."""

    def __init__(self, top: bytes, notices: Notices) -> None:
        self._top = top.rstrip(b"/")
        self._notices = notices
        self._paths: dict[int, bytes] = {}
        self._changes = Changes(everything=True)

    @property
    def directories(self) -> int:
        """How many are watched."""
        return len(self._paths)

    def start(self) -> None:
        """Watch what there is. NotFound, PublishError where the kernel does not watch as many directories."""
        if not os.path.isdir(self._top or b"/"):
            raise NotFound(f"the tree {os.fsdecode(self._top) or '/'} is not there, so it cannot be watched")
        self._watch(ROOT)

    def look(self) -> bool:
        """Take in what the kernel tells; whether that was anything. NotFound where the tree itself is gone."""
        seen = False
        while events := self._notices.read():
            for event in events:
                seen = self._take_in(event) or seen
        return seen

    def take(self) -> Changes:
        """What changed since the last time; the first time everything."""
        found, self._changes = self._changes, Changes()
        return found

    def give_back(self, changes: Changes) -> None:
        """Tell it again the next time: it could not be published."""
        self._changes.add(changes)

    def _take_in(self, event: Event) -> bool:
        if event.mask & inotify.OVERFLOW:
            self._start_anew()
            return True
        directory = self._paths.get(event.watch)
        if directory is None:
            return False  # of a directory that was moved or removed since
        if event.mask & inotify.IGNORED:
            del self._paths[event.watch]
            return False
        if not event.name:
            return self._of_itself(directory, event.mask)
        path = join(directory, event.name)
        if event.mask & inotify.IS_DIRECTORY and event.mask & (_GONE | _COME):
            self._forget(path)
        if event.mask & inotify.IS_DIRECTORY and event.mask & _COME:
            self._watch(path)
            self._changes.add(Changes(trees={path}))
        else:
            self._changes.add(Changes(entries={path}))
        return True

    def _of_itself(self, directory: bytes, mask: int) -> bool:
        if mask & (inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.UNMOUNT):
            if directory == ROOT:
                raise NotFound(f"the tree {os.fsdecode(self._top)} was removed or moved away, so it is watched no more")
            return False  # the directory above tells it too
        self._changes.add(Changes(entries={directory}))
        return True

    def _start_anew(self) -> None:
        """More happened than the queue holds, so directories may be unknown."""
        self._changes.add(Changes(everything=True))
        for watch in self._paths:
            self._notices.remove(watch)
        self._paths.clear()
        self._watch(ROOT)

    def _forget(self, path: bytes) -> None:
        gone = [watch for watch, known in self._paths.items() if is_within(known, path)]
        for watch in gone:
            self._notices.remove(watch)
            del self._paths[watch]

    def _watch(self, path: bytes) -> None:
        """Watch a directory and those below it; what vanishes meanwhile is passed over."""
        waiting = [path]
        while waiting:
            here = waiting.pop()
            try:
                self._paths[self._notices.add(self._top + here or b"/")] = here
                waiting += (join(here, name) for name in _directories(self._top + here or b"/"))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise _refused(error, here, len(self._paths)) from error


def _directories(path: bytes) -> Iterator[bytes]:
    with os.scandir(path) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield entry.name


def _refused(error: OSError, path: bytes, count: int) -> Exception:
    if error.errno == errno.ENOSPC:
        return PublishError(
            f"the kernel watches no more than {count:,} directories for this user; more are allowed by "
            "'sysctl fs.inotify.max_user_watches=1000000' (and a file in /etc/sysctl.d)"
        )
    return PermissionRefused(f"{os.fsdecode(path) or '/'} cannot be watched: {error.strerror}")
