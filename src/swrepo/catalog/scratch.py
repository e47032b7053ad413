"""An SQLite file in the making: nobody reads it before `finish` has returned, so it needs no journal and no sync.

A crash leaves rubbish under a scratch name. What comes out holds no free page, and pages as small as the original's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from swrepo.errors import CacheFull, FormatError, PermissionRefused, SwrepoError, Unreachable

PAGE_SIZE = 1024
"""Bytes. The original's, and the best of those tried: catalogs are mostly small, and small pages compress as well."""

_CACHE_KIB = 32 << 10
_PRIMARY = 0xFF
"""Of an error's code: what is above tells more."""
_PRAGMAS = ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "temp_store = MEMORY")


class Scratch:
    """A database that is written by one thread at a time. `what` names it in messages.

    FormatError where SQLite refuses something, CacheFull where there is no room, Unreachable where the disk fails,
    PermissionRefused where the file cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], what: str) -> None:
        """Create the file at `path`, which must not exist."""
        self.path = os.fspath(path)
        self.what = what
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_room(what, self.path) from error
            raise PermissionRefused(f"cannot create {self.path} for {what}: {error.strerror}") from error
        self.connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.connection.text_factory = bytes
        for pragma in (*_PRAGMAS, f"page_size = {PAGE_SIZE}", f"cache_size = -{_CACHE_KIB}"):
            self.execute(f"PRAGMA {pragma}")
        self._packed_pages = 0

    def execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> int:
        """Run a statement; how many rows it changed."""
        with self._guarded():
            return self.connection.execute(sql, parameters).rowcount

    def execute_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run a statement for each row."""
        with self._guarded():
            self.connection.executemany(sql, rows)

    def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of the answer, text as bytes."""
        with self._guarded():
            return self.connection.execute(sql, parameters).fetchall()

    def rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """The rows of the answer one by one; nothing else may be done here until all have been taken."""
        with self._guarded():
            yield from self.connection.execute(sql)

    def fill(self, copy: Callable[[sqlite3.Connection], object]) -> None:
        """Have all pages of another database copied into this one, which is empty."""
        with self._guarded():
            copy(self.connection)
        self._packed_pages = self._pragma("page_count")

    def set_property(self, name: str, value: str | bytes) -> None:
        """Set a row of the table `properties`."""
        raw = value.encode() if isinstance(value, str) else value
        self.execute("INSERT OR REPLACE INTO properties (key, value) VALUES (?, CAST(? AS TEXT))", (name, raw))

    def finish(self) -> int:
        """Commit what was begun, pack the pages, close; the file's size in bytes."""
        if self.connection.in_transaction:
            self.execute("COMMIT")
        if not self._is_packed():
            self.execute("VACUUM")  # index pages were filled in random order
        self.connection.close()
        return os.stat(self.path).st_size

    def discard(self) -> None:
        """Close and remove the file. Harmless after `finish` and when done twice, apart from the file being gone."""
        self.connection.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def _is_packed(self) -> bool:
        """Whether this is a copy whose changes found room in its pages: such copies of copies never grow."""
        asked = ("page_count", "freelist_count", "page_size")
        return list(map(self._pragma, asked)) == [self._packed_pages, 0, PAGE_SIZE]

    def _pragma(self, name: str) -> int:
        return int(self.fetch(f"PRAGMA {name}")[0][0])

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """The border to SQLite."""
        try:
            yield
        except OverflowError as error:
            raise FormatError(f"cannot write {self.what} to {self.path}: {error}") from error
        except sqlite3.Error as error:
            raise write_error(self.what, self.path, error) from error


def write_error(what: str, path: str, error: sqlite3.Error) -> SwrepoError:
    """What it means that SQLite cannot write to a file of ours."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & _PRIMARY
    if code == sqlite3.SQLITE_FULL:
        return _no_room(what, path)
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return Unreachable(f"cannot write {what} to {path}", (str(error),))
    return FormatError(f"cannot write {what} to {path}: {error}")


def _no_room(what: str, path: str) -> CacheFull:
    return CacheFull(f"no room to write {what} to {path}; free some and run it again, nothing is damaged")
