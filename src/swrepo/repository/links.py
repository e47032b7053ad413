"""Follows symbolic links inside a revision, as a file system would where the repository is mounted."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from swrepo.errors import NotADirectory, PathNotFound, SymlinkLoop
from swrepo.format.dirent import Dirent
from swrepo.format.paths import ROOT, join, parent
from swrepo.format.variant import expand
from swrepo.repository.revision import Revision

MOUNTPOINTS = b"/cvmfs/"
"""Below it absolute links find a repository, under its name."""

_LINKS_AT_MOST = 40
_NOTHING = (b"", b".")


def resolve(
    revision: Revision, path: bytes, variables: Mapping[str, str], mountpoint: bytes, *, follow_last: bool = True
) -> tuple[bytes, Dirent]:
    """The path without links (or with the last one, as lstat wants it) that `path` leads to, and its entry.

    `path` may hold `.`, `..` and more slashes than needed. `mountpoint` is where absolute links see the repository:
    those that lead elsewhere lead nowhere. PathNotFound, NotADirectory, SymlinkLoop.
    """
    if path == ROOT or (path.startswith(b"/") and b"/." not in path and b"//" not in path):
        found = revision.find(path)  # a path that has a row goes through no links
        if found is not None and not (follow_last and found.is_symlink):
            return path, found
    return _Walk(revision, variables, mountpoint).to(path, follow_last=follow_last)


class _Walk:
    """One step for each name."""

    def __init__(self, revision: Revision, variables: Mapping[str, str], mountpoint: bytes) -> None:
        self._revision = revision
        self._variables = variables
        self._mountpoint = mountpoint
        self._followed = 0

    def to(self, path: bytes, *, follow_last: bool) -> tuple[bytes, Dirent]:
        done, entry = ROOT, self._revision.lookup(ROOT)
        pending = deque(path.split(b"/"))
        while pending:
            name = pending.popleft()
            if name in _NOTHING:
                continue
            if not entry.is_directory:
                raise NotADirectory(f"not a directory: {_shown(done)}")
            step = parent(done) if name == b".." else join(done, name)
            found = self._revision.lookup(step)
            if found.is_symlink and (follow_last or any(pending)):
                link = self._inside(step, found)
                if link.startswith(b"/") or not link:
                    done, entry = ROOT, self._revision.lookup(ROOT)
                pending.extendleft(reversed(link.split(b"/")))
            else:
                done, entry = step, found
        return done, entry

    def _inside(self, path: bytes, entry: Dirent) -> bytes:
        """The link's target as a path of this repository; one that starts anew begins with a slash."""
        target = expand(entry.symlink, self._variables)
        self._followed += 1
        if self._followed > _LINKS_AT_MOST:
            raise SymlinkLoop(f"symbolic links lead in a circle: {_shown(path)} -> {_shown(target)}")
        if not target:
            raise PathNotFound(f"{_shown(path)} is a link to nothing")
        if not target.startswith(b"/"):
            return target
        if target == self._mountpoint or target.startswith(self._mountpoint + b"/"):
            return target[len(self._mountpoint) :] or b"/"
        raise PathNotFound(f"{_shown(path)} leads out of the repository: {_shown(target)}")


def _shown(path: bytes) -> str:
    return (path or b"/").decode("utf-8", "backslashreplace")
