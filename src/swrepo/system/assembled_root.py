"""A root directory with one more directory in it, for a mount namespace whose own root cannot have it made.

An empty file system in memory becomes the root; every entry of the real one is bound into it, with all that is mounted
below. So nothing changes on a disk, nor for anybody outside.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from swrepo.errors import MountFailed
from swrepo.system import mounts

_OLD, _NEW = "old", "new"


def add_directory(name: str) -> None:
    """Make `/name` exist, in this process's own mount namespace. MountFailed where the kernel lets nobody do it."""
    here = os.getcwd()
    try:
        _replace_root(name)
    except OSError as error:
        raise MountFailed(f"/{name} does not exist and cannot be put in place: {error}") from error
    with suppress(OSError):  # one that was removed, or that we may not enter
        os.chdir(here)


def _replace_root(name: str) -> None:
    base = _some_directory()
    mounts.mount("swrepo", base, "tmpfs", mounts.NOSUID | mounts.NODEV, "mode=0755,size=1m")
    os.chdir(base)
    os.mkdir(_OLD)
    os.mkdir(_NEW)
    _become_root(_OLD)
    mounts.mount(f"/{_NEW}", f"/{_NEW}", None, mounts.BIND)
    with os.scandir(f"/{_OLD}") as entries:
        for entry in entries:
            _put_in_place(entry, f"/{_NEW}/{entry.name}")
    os.mkdir(f"/{_NEW}/{name}")
    os.chdir(f"/{_NEW}")
    _leave_old_root()
    # As the real one is for who could not make the directory: an error is better than files that vanish.
    mounts.mount("none", "/", None, mounts.REMOUNT | mounts.BIND | mounts.RDONLY | mounts.NOSUID | mounts.NODEV)


def _put_in_place(entry: os.DirEntry[str], target: str) -> None:
    if entry.is_symlink():
        os.symlink(os.readlink(entry.path), target)
        return
    if entry.is_dir(follow_symlinks=False):
        os.mkdir(target)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o444))
    mounts.mount(entry.path, target, None, mounts.BIND | mounts.REC)


def _become_root(old: str) -> None:
    """The current directory becomes the root; the root before it is at `old`."""
    mounts.pivot_root(".", old)
    os.chdir("/")


def _leave_old_root() -> None:
    """The current directory becomes the root, and that of before is gone."""
    mounts.pivot_root(".", ".")
    mounts.detach(".")
    os.chdir("/")


def _some_directory() -> str:
    """Any directory below the root will do: what is mounted there moves away at once."""
    with os.scandir("/") as entries:
        found = sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
    if not found:
        raise OSError(errno.ENOENT, "the root directory has no directory in it", "/")
    return "/tmp" if "/tmp" in found else found[0]  # noqa: S108 - nothing is written there
