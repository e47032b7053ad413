"""A cache's directory by plain paths, for systems that open nothing relative to a descriptor: Windows.

Unfinished files lie in `txn/SESSION/`, one session for each process. The lock of a session is a file in it that is
open as long as the process lives: Windows neither removes nor moves what is open, nor the directory that holds it. So
whoever can move a session away has the proof that its process is dead, and removes it.

Links are looked for, not ruled out: here only the directory's owner and administrators can plant any.
"""

from __future__ import annotations

import filecmp
import itertools
import os
import secrets
import shutil
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

_BINARY = getattr(os, "O_BINARY", 0)
"""Without it Windows takes a file for text, and changes its bytes."""

_READ = os.O_RDONLY | _BINARY
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY
_TXN = "txn"
_SESSION = "swrepo."
_DEAD = "dead."
_LOCK = "lock"
_PATIENCE = 10
_PAUSE = 0.05
"""Seconds. Virus scanners and indexers look into every new file and have it open for a moment."""


class NamedReader:
    """The part of CacheDirectory that writes nothing, by names."""

    def __init__(self, root: Path) -> None:
        """Take the directory `root`, which exists. OSError."""
        self.root = root
        os.listdir(root)

    def open(self, directory: str, name: str) -> tuple[int, os.stat_result] | None:
        """See CacheDirectory."""
        parent = self.root / directory
        path = parent / name
        try:
            if not (stat.S_ISDIR(os.lstat(parent).st_mode) and stat.S_ISREG(os.lstat(path).st_mode)):
                return None
            descriptor = os.open(path, _READ)
        except OSError:
            return None
        return descriptor, os.fstat(descriptor)

    def was_removed(self) -> bool:
        """See CacheDirectory."""
        return not self.root.is_dir()

    def close(self) -> None:
        """See CacheDirectory."""


class NamedDirectory(NamedReader):
    """CacheDirectory by names."""

    def __init__(self, root: Path) -> None:
        """Make or take over the directory `root`. OSError."""
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(root)
        self._numbers = itertools.count()
        self._guard = threading.Lock()  # for the start of the session
        self._session: Path | None = None
        self._lock = -1

    def create(self) -> tuple[int, str]:
        """See CacheDirectory."""
        with self._guard:
            if self._session is None:
                self._session = self._begin_session()
        name = f"{os.getpid()}.{next(self._numbers)}"
        return os.open(self._session / name, _CREATE, 0o600), name

    def commit(self, unfinished: str, directory: str, name: str) -> None:
        """See CacheDirectory."""
        parent = self.root / directory
        _make(parent)
        # A crash before this line leaves a file in txn/, which the next start removes; after it, the whole object.
        _replace(self._path(unfinished), parent / name)

    def discard(self, unfinished: str) -> None:
        """See CacheDirectory."""
        with suppress(OSError):
            self._path(unfinished).unlink()

    def close(self) -> None:
        """See CacheDirectory."""
        if self._session is not None:
            os.close(self._lock)
            shutil.rmtree(self._session, ignore_errors=True)
            self._session = None

    def _path(self, unfinished: str) -> Path:
        if self._session is None:
            raise FileNotFoundError(unfinished)
        return self._session / unfinished

    def _begin_session(self) -> Path:
        txn = self.root / _TXN
        _make(txn)
        for left in list(txn.iterdir()):
            _remove_dead(left)
        while True:
            session = txn / (_SESSION + secrets.token_hex(8))
            session.mkdir(mode=0o700)
            with suppress(FileNotFoundError):  # a cleaner took it for a dead one before it had its lock
                self._lock = os.open(session / _LOCK, _CREATE, 0o600)
                return session


def _remove_dead(session: Path) -> None:
    """Remove what a session left, if its process has ended."""
    dead = session
    if session.name.startswith(_SESSION):
        dead = session.with_name(_DEAD + session.name)
        try:
            os.rename(session, dead)  # refused where a file in it is open
        except OSError:
            return
    if dead.name.startswith(_DEAD):
        shutil.rmtree(dead, ignore_errors=True)


def _make(directory: Path) -> None:
    """Make a directory in the cache where it is missing, or where something else has its name."""
    with suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    if not stat.S_ISDIR(os.lstat(directory).st_mode):
        os.unlink(directory)
        os.mkdir(directory, 0o700)


def _replace(unfinished: Path, path: Path) -> None:
    """Rename, in spite of those who have `path` open at the moment: what they read cannot be replaced."""
    for left in reversed(range(_PATIENCE)):
        try:
            os.replace(unfinished, path)
        except PermissionError:
            with suppress(OSError):
                if filecmp.cmp(unfinished, path, shallow=False):  # another process was quicker
                    os.unlink(unfinished)
                    return
            if not left:
                raise
            time.sleep(_PAUSE)
        else:
            return
