"""A cache for one mount, where the usual place cannot be written to: batch jobs and containers without a home."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from swrepo.cli.output import note
from swrepo.errors import ConfigError
from swrepo.system.user import user_id

_LOCK = ".in-use"


def usable(*directories: Path) -> bool:
    """Whether caches can be in these: there, or to be made."""
    return all(_usable(directory) for directory in directories)


def _usable(directory: Path) -> bool:
    if directory.is_dir():
        return os.access(directory, os.R_OK | os.X_OK)  # one that may not be written to is read
    above = next(path for path in directory.parents if path.exists() or path == path.parent)
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


class TemporaryCache:
    """Removed when no process uses it any more, however they ended.

    The processes of the mount inherit a lock on it. Who made it and waits for the lock may be killed too; then the next
    one that is made removes it.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._held = -1

    def make(self) -> Path:
        """A new directory, which nobody else may enter, and a line about it."""
        prefix = f"swrepo-exec-{user_id()}-"
        try:
            _remove_forgotten(Path(tempfile.gettempdir()), prefix)
            self._path = Path(tempfile.mkdtemp(prefix=prefix))
        except OSError as error:
            raise ConfigError(f"there is no place for a cache ({error}); give one with --cache DIR") from error
        self._held = os.open(self._path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._held, fcntl.LOCK_SH)
        note(f"swrepo exec: the usual cache cannot be written to; {self._path} is used, and removed at the end")
        return self._path

    def remove_when_unused(self) -> None:
        """Wait until the processes that inherited the lock have ended, and remove it."""
        if self._path is None:
            return
        os.close(self._held)
        lock = os.open(self._path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(self._path, ignore_errors=True)


def _remove_forgotten(directory: Path, prefix: str) -> None:
    for path in directory.glob(prefix + "*"):
        with suppress(OSError):  # one that is in use, being made, or being removed
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
