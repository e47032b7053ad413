"""One entry of a copy put in its place: whole or not at all, whatever is there already."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from swrepo.api import attributes
from swrepo.api.attributes import BY_DESCRIPTOR, Keep
from swrepo.client.local_files import REFUSALS
from swrepo.format.dirent import Dirent, device_numbers

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_CREATE |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_NO_SUCH_LINK = (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Refused(Exception):
    """The system, or what is in the way, does not let an entry have its place; the message says why."""


class Placing:
    """Makes entries below temporary names and renames them. Safe from any thread.

    `beside`: the directory for temporary names, on the same file system; None for that of each entry itself.
    `force`: whether a directory in the way of something else is removed.
    """

    def __init__(self, keep: Keep, beside: bytes | None = None, *, force: bool = False) -> None:
        self._keep = keep
        self._beside = beside
        self._force = force
        self._numbers = itertools.count()

    def file(self, entry: Dirent, place: bytes, fill: Callable[[int], object]) -> int:
        """A regular file that `fill` writes to a descriptor; the number of attributes that were refused. Refused."""

        def make(temporary: bytes) -> int:
            descriptor = os.open(temporary, _CREATE, 0o600)
            try:
                fill(descriptor)
                refused = attributes.put_on(descriptor, entry, self._keep) if BY_DESCRIPTOR else 0
            finally:
                os.close(descriptor)
            return refused if BY_DESCRIPTOR else attributes.put_on(temporary, entry, self._keep)

        return self._place(make, place)

    def symlink(self, entry: Dirent, place: bytes, target: bytes, *, to_directory: bool) -> None:
        """A symbolic link. Refused."""

        def make(path: bytes) -> int:
            os.symlink(target.replace(b"/", os.sep.encode()), path, target_is_directory=to_directory)
            attributes.put_on_link(path, entry, self._keep)
            return 0

        try:
            self._or_refused(lambda: make(place))  # a link is made whole, so where nothing is it gets its name at once
        except FileExistsError:
            self._place(make, place)

    def special(self, entry: Dirent, place: bytes) -> int:
        """A fifo, socket or device; the number of attributes that were refused. Refused."""
        if not hasattr(os, "mknod"):
            raise Refused("this system has no such files")

        def make(temporary: bytes) -> int:
            device = os.makedev(*device_numbers(entry.rdev)) if entry.is_device else 0
            try:
                os.mknod(temporary, stat.S_IFMT(entry.mode) | 0o600, device)
            except PermissionError as error:
                raise Refused("only root can make it") from error
            return attributes.put_on(temporary, entry, self._keep)

        return self._place(make, place)

    def hard_link(self, first: bytes, place: bytes) -> bool:
        """Another name for the file `first`; false where this file system has no (or no more) such names. Refused."""

        def make(temporary: bytes) -> int:
            os.link(first, temporary, **({"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}))
            return 0

        try:
            self._place(make, place)
        except OSError as error:
            if error.errno in _NO_SUCH_LINK:
                return False
            raise
        return True

    def directory(self, place: bytes) -> None:
        """A directory that its owner can write to; one that is there stays. Refused where something else is."""
        try:
            self._or_refused(lambda: os.mkdir(place, 0o700))
        except FileExistsError:
            found = os.lstat(place)
            if stat.S_ISDIR(found.st_mode):
                attributes.make_writable(place, found)
            elif not self._force:
                raise Refused("something else is in its place") from None
            else:
                _unlink(place)
                os.mkdir(place, 0o700)

    def _place(self, make: Callable[[bytes], int], place: bytes) -> int:
        temporary = self._temporary(place)
        try:
            refused = self._or_refused(lambda: make(temporary))
            self._or_refused(lambda: self._rename(temporary, place))
        except BaseException as error:
            # Whatever went wrong, half a file must not stay behind under any name.
            with suppress(FileNotFoundError):
                _unlink(temporary)
            if isinstance(error, OSError):
                error.filename, error.filename2 = place, None  # a full disk says nothing of it by itself
            raise
        return refused

    def _temporary(self, place: bytes) -> bytes:
        # A short name of its own: the real one may be as long as the file system allows.
        name = b".swrepo-%d-%d" % (os.getpid(), next(self._numbers))
        return os.path.join(os.path.dirname(place) if self._beside is None else self._beside, name)

    def _rename(self, temporary: bytes, place: bytes) -> None:
        try:
            os.replace(temporary, place)
        except (IsADirectoryError, PermissionError) as error:
            if is_directory(place):
                if not self._force:
                    raise Refused("a directory is in its place") from error
                remove_tree(place)
            elif isinstance(error, PermissionError) and os.path.lexists(place):
                os.chmod(place, stat.S_IWRITE | stat.S_IREAD)  # Windows replaces no file that is read-only
            else:
                raise
            os.replace(temporary, place)

    @staticmethod
    def _or_refused(make: Callable[[], int | None]) -> int:
        try:
            return make() or 0
        except UnicodeError:
            raise Refused("this system does not hold such bytes in a name") from None
        except OSError as error:
            if error.errno not in REFUSALS:
                raise
            raise Refused(f"this system does not hold it ({error.strerror})") from error


def is_directory(path: bytes) -> bool:
    """Whether a directory itself, no link to one, has this path."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def remove_tree(path: bytes) -> int:
    """Remove a file or a directory with all that is in it; how many entries. OSError."""
    if not is_directory(path):
        _unlink(path)
        return 1
    attributes.make_writable(path, os.lstat(path))
    removed = sum(remove_tree(os.path.join(path, name)) for name in os.listdir(path))
    os.rmdir(path)
    return removed + 1


def _unlink(path: bytes) -> None:
    try:
        os.unlink(path)
    except PermissionError:
        if not Path(os.fsdecode(path)).is_file():
            raise
        os.chmod(path, stat.S_IWRITE | stat.S_IREAD)  # Windows removes no file that is read-only
        os.unlink(path)
