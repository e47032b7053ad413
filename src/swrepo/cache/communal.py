"""A cache's directory on a network file system, for many hosts at once: the original's "alien" cache, and preloading.

Relies on nothing but rename: no locks (many such file systems have none), no owner, no clock of our own. Unfinished
files lie in `txn/` under names that no other host or process gives; those of the dead are removed after a day, by the
file system's clock. Source of the layout: format.md 11; all directories exist from the start, as its clients expect.
"""

from __future__ import annotations

import itertools
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swrepo.cache.anchored import make_directory, refuse_open_to_all
from swrepo.cache.reading import AnchoredReader

_TXN = "txn"
_DIRECTORIES = (*(f"{number:02x}" for number in range(256)), _TXN, "quarantaine")
_OURS = "swrepo."
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ABANDONED_AFTER = 86400.0
"""Seconds since a file was last written to."""


@dataclass(frozen=True, slots=True)
class Modes:
    """Permissions of files and directories; `exactly`: whatever the process's mask takes away."""

    file: int
    directory: int
    exactly: bool = False


GROUP = Modes(0o660, 0o770, exactly=True)
"""What the original gives in an alien cache."""

BY_MASK = Modes(0o666, 0o777)


class CommunalDirectory(AnchoredReader):
    """CacheDirectory without locks. `durable`: what has its name is on the disk; nobody could tell after a crash."""

    def __init__(self, root: Path, modes: Modes = GROUP, *, durable: bool = True) -> None:
        """Make or take over the directory `root`. OSError, PermissionRefused."""
        if not root.is_dir():
            root.mkdir(mode=modes.directory, parents=True, exist_ok=True)
            if modes.exactly:
                root.chmod(modes.directory)
        super().__init__(root)
        self._modes = modes
        self._durable = durable
        self._numbers = itertools.count()
        self._prefix = f"{_OURS}{socket.gethostname()[:64].replace('/', '_')}.{secrets.token_hex(8)}"
        try:
            refuse_open_to_all(root, os.fstat(self._root))
            self._make_all()
            self._remove_abandoned()
        except BaseException:
            self.close()
            raise

    def create(self) -> tuple[int, str]:
        """See CacheDirectory."""
        name = f"{self._prefix}.{os.getpid()}.{next(self._numbers)}"
        txn = self._enter(_TXN)
        try:
            descriptor = os.open(name, _CREATE, self._modes.file, dir_fd=txn)
        finally:
            os.close(txn)
        if self._modes.exactly:
            os.fchmod(descriptor, self._modes.file)
        return descriptor, name

    def commit(self, unfinished: str, directory: str, name: str) -> None:
        """See CacheDirectory. An object that is there already, whole, stays: on NFS, who has it open would lose it."""
        txn, parent = self._enter(_TXN), self._enter(directory)
        try:
            mine = os.open(unfinished, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=txn)
            try:
                if self._durable:
                    os.fsync(mine)
                size = os.fstat(mine).st_size
            finally:
                os.close(mine)
            if directory != "." and _size(name, parent) == size:
                os.unlink(unfinished, dir_fd=txn)
                return
            # A crash before this line leaves a file in txn/, after it the whole object.
            os.rename(unfinished, name, src_dir_fd=txn, dst_dir_fd=parent)
        finally:
            os.close(txn)
            os.close(parent)

    def discard(self, unfinished: str) -> None:
        """See CacheDirectory."""
        with suppress(OSError):
            os.unlink(f"{_TXN}/{unfinished}", dir_fd=self._root)

    def _enter(self, name: str) -> int:
        return make_directory(self._root, name, self._modes.directory)

    def _make_all(self) -> None:
        known = set(os.listdir(self._root))
        for name in _DIRECTORIES:
            if name not in known:
                with suppress(FileExistsError):
                    os.mkdir(name, self._modes.directory, dir_fd=self._root)
                    if self._modes.exactly:
                        os.chmod(name, self._modes.directory, dir_fd=self._root)

    def _remove_abandoned(self) -> None:
        """The time is that of a new file, not ours: hosts differ in their clocks, the file system has one."""
        descriptor, probe = self.create()
        try:
            now = os.fstat(descriptor).st_mtime
        finally:
            os.close(descriptor)
            self.discard(probe)
        txn = self._enter(_TXN)
        try:
            for name in os.listdir(txn):
                with suppress(OSError):
                    if name.startswith(_OURS) and now - os.stat(name, dir_fd=txn).st_mtime > _ABANDONED_AFTER:
                        os.unlink(name, dir_fd=txn)
        finally:
            os.close(txn)


def _size(name: str, parent: int) -> int | None:
    with suppress(OSError):
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_size
    return None
