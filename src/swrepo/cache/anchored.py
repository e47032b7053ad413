"""A cache's directory held by descriptors, for the processes of one host.

Unfinished files lie in `txn/SESSION/`, one session for each process (and its forks), which holds a lock on its
directory as long as it lives: what a killed process left is told from what a living one is writing, and removed.
Nothing here says what the files hold.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from swrepo.cache.reading import DIRECTORY, AnchoredReader, open_regular
from swrepo.errors import PermissionRefused
from swrepo.system import descriptors

_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TXN = "txn"
_SESSION = "swrepo."
_SYMLINK_OR_FILE = (errno.ELOOP, errno.ENOTDIR)


class AnchoredDirectory(AnchoredReader):
    """CacheDirectory by descriptors of the directory, of those in it, and of this process's session.

    Directories stay open once they were used, which saves a third of the system calls that a small object takes, while
    less than half of the descriptors that the process may have are in use. Where one was removed, `commit` says
    FileNotFoundError, and the caller begins anew.
    """

    def __init__(self, root: Path) -> None:
        """Make (mode 0700) or take over the directory `root`; remove what killed processes left. OSError."""
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(root)
        self._numbers = itertools.count()
        self._lock = threading.Lock()  # guards the start of the session
        self._directories: dict[str, int] = {}
        self._highest = descriptors.limit() // 2
        self._session = -1
        self._session_name = ""
        try:
            _refuse_foreign(root, os.fstat(self._root))
        except BaseException:
            self.close()
            raise

    def open(self, directory: str, name: str) -> tuple[int, os.stat_result] | None:
        """See CacheDirectory."""
        parent = self._directories.get(directory)
        if parent is not None:
            return open_regular(name, parent)
        try:
            parent = os.open(directory, DIRECTORY, dir_fd=self._root)
        except OSError:
            return None
        with self._kept(directory, parent) as kept:
            return open_regular(name, kept)

    def create(self) -> tuple[int, str]:
        """See CacheDirectory."""
        if self._session < 0:
            with self._lock:
                if self._session < 0:
                    self._session = self._begin_session()
        name = f"{os.getpid()}.{next(self._numbers)}"
        return os.open(name, _CREATE, 0o600, dir_fd=self._session), name

    def commit(self, unfinished: str, directory: str, name: str) -> None:
        """See CacheDirectory."""
        parent = self._directories.get(directory)
        # A crash before the renaming leaves a file in txn/, which the next start removes; after it, the whole object.
        if parent is not None:
            os.rename(unfinished, name, src_dir_fd=self._session, dst_dir_fd=parent)
            return
        with self._kept(directory, make_directory(self._root, directory)) as kept:
            os.rename(unfinished, name, src_dir_fd=self._session, dst_dir_fd=kept)

    def discard(self, unfinished: str) -> None:
        """See CacheDirectory."""
        with suppress(OSError):
            os.unlink(unfinished, dir_fd=self._session)

    def close(self) -> None:
        """See CacheDirectory."""
        if self._session >= 0:
            os.close(self._session)  # and with it the lock, unless a fork holds it still
            with suppress(OSError), _Opened(_TXN, self._root) as txn:
                _remove_session(self._session_name, txn)
        self._session = -1
        while self._directories:
            os.close(self._directories.popitem()[1])
        super().close()

    @contextmanager
    def _kept(self, directory: str, descriptor: int) -> Iterator[int]:
        """The descriptor of a directory, from now on if there is room for it: this one, or that of a faster thread.

        The lowest free number is always the next one, so a number tells how many are in use.
        """
        is_kept = descriptor <= self._highest and self._directories.setdefault(directory, descriptor) == descriptor
        try:
            yield descriptor
        finally:
            if not is_kept:
                os.close(descriptor)

    def _begin_session(self) -> int:
        txn = make_directory(self._root, _TXN)
        try:
            for left in os.listdir(txn):
                _remove_session(left, txn)
            while True:
                self._session_name = _SESSION + os.urandom(8).hex()
                session = _lock_session(self._session_name, txn)
                if session is not None:
                    return session
        finally:
            os.close(txn)


class _Opened:
    """A directory's descriptor for a `with`."""

    def __init__(self, name: str, parent: int) -> None:
        self._descriptor = os.open(name, DIRECTORY, dir_fd=parent)

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def make_directory(parent: int, name: str, mode: int = 0o700) -> int:
    """Open a directory in a cache, making it where it is missing, or where something else has its name. OSError."""
    while True:
        try:
            return os.open(name, DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.mkdir(name, mode, dir_fd=parent)
        except OSError as error:
            if error.errno not in _SYMLINK_OR_FILE:
                raise
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent)


def _lock_session(name: str, txn: int) -> int | None:
    """Make a session's directory and lock it; None where a cleaner took it for a dead one between the two."""
    os.mkdir(name, 0o700, dir_fd=txn)
    with suppress(FileNotFoundError, BlockingIOError):
        session = os.open(name, DIRECTORY, dir_fd=txn)
        try:
            fcntl.flock(session, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.stat(name, dir_fd=txn, follow_symlinks=False)  # still there, and now nobody removes it
        except BaseException:
            os.close(session)
            raise
        return session
    return None


def _remove_session(name: str, txn: int) -> None:
    """Remove what a session left, if no process holds its lock any more."""
    if not name.startswith(_SESSION):
        return
    with suppress(OSError), _Opened(name, txn) as session:
        fcntl.flock(session, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for unfinished in os.listdir(session):
            os.unlink(unfinished, dir_fd=session)
        os.rmdir(name, dir_fd=txn)


def _refuse_foreign(root: Path, status: os.stat_result) -> None:
    """Whoever can write to the directory decides what readers see: objects are checked on arrival only."""
    if status.st_uid not in (os.geteuid(), 0):
        raise PermissionRefused(f"the cache {root} belongs to user {status.st_uid}; choose another --cache")
    refuse_open_to_all(root, status)


def refuse_open_to_all(root: Path, status: os.stat_result) -> None:
    """PermissionRefused where everybody can write to a cache."""
    if status.st_mode & stat.S_IWOTH:
        raise PermissionRefused(f"everybody can write to the cache {root}: chmod o-w, or choose another --cache")
