"""One entry of a directory, as `os.scandir` gives them."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from swrepo.api.values import Stat
from swrepo.errors import NotADirectory, PathNotFound, SymlinkLoop

MISSING = (PathNotFound, NotADirectory, SymlinkLoop)
"""What a path that leads nowhere raises."""


@dataclass(frozen=True, slots=True)
class DirEntry:
    """`path` is that of the directory, as it was given, with the name. `st_mode` is the entry's own, links included."""

    name: str
    path: str
    st_mode: int
    _stat: Callable[[bool], Stat] = field(repr=False, compare=False)

    def stat(self, *, follow_symlinks: bool = True) -> Stat:
        """As `Repository.stat`, at the revision of the listing."""
        return self._stat(follow_symlinks)

    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self.st_mode)

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a directory, or leads to one."""
        return stat.S_ISDIR(self._mode(follow_symlinks))

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a regular file, or leads to one."""
        return stat.S_ISREG(self._mode(follow_symlinks))

    def inode(self) -> int:
        return self._stat(False).st_ino  # noqa: FBT003

    def __fspath__(self) -> str:
        return self.path

    def _mode(self, follow: bool) -> int:
        if not (follow and self.is_symlink()):
            return self.st_mode
        try:
            return self._stat(True).st_mode  # noqa: FBT003
        except MISSING:
            return 0
