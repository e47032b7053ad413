"""An SQLite file that came over the network, opened for reading and not trusted.

Its bytes are those that the repository signed, but that does not make them a sound database: every statement is
bounded in time and rows, views, triggers and virtual tables are refused, and whatever SQLite complains of becomes a
FormatError.

One connection, one lock: each statement runs under it, so an instance may be used from any thread. SQLite never locks
or writes the file (`immutable`): deleting the name later does no harm. It opens files by name only; where the system
does not tell the name of a descriptor, it gets a copy, whose name goes as soon as the system allows.

A connection holds up to 350 KB of memory. `park` lets go of it until the next statement, and keeps a descriptor.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from swrepo.errors import FormatError, ObjectNotFound

Row = tuple[Any, ...]

_LONGEST_VALUE = 1 << 20
"""Bytes of the longest value or row; the longest that the format allows, a row full of attributes, has 137,000."""

_SMALLEST_ROW = 8
"""Bytes that a row takes at the very least: more rows than that in a file can only be pages that lead in circles."""

_TICK = 1_000_000
"""SQLite's virtual instructions between two looks at the budget."""

_BUDGET_TICKS = 50

_REFUSALS = (sqlite3.Error, UnicodeDecodeError)
"""What the library raises for a damaged file: its own message quotes the damage, and need not be text."""

_PRAGMAS = (
    "trusted_schema = OFF",
    "query_only = ON",
    "cell_size_check = ON",
    "temp_store = MEMORY",
    "cache_size = -256",  # KiB
)
_STRANGE = "SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index') OR rootpage = 0"


class Database:
    """A read-only SQLite file. `what` names it in messages."""

    def __init__(self, connection: sqlite3.Connection, size: int, what: str, scratch: Path | None) -> None:
        """Take over a connection; use `open`."""
        self._connection: sqlite3.Connection | None = connection
        self._lock = threading.Lock()
        self._most_rows = size // _SMALLEST_ROW + 1
        self._budget = _Budget(_BUDGET_TICKS + 8 * size // _TICK)
        self._scratch = scratch
        self._what = what
        self._descriptor = -1  # what a parked one is opened from again
        self.used = True
        """Set by each statement; whoever decides what to park takes it back."""
        self.on_open: Callable[[Database], object] = _ignore
        """Called when a parked one has been opened again, with its lock held."""

    @classmethod
    def open(cls, file: int | str | os.PathLike[str], what: str) -> Self:
        """Open a file by descriptor or path. The descriptor stays the caller's and is not needed afterwards.

        Raises FormatError for anything but a plain UTF-8 database, ObjectNotFound where there is no file.
        """
        try:
            connection, scratch, size = _connected(file, what)
        except _REFUSALS as error:
            raise _format_error(what, error) from error
        database = cls(connection, size, what, scratch)
        try:
            database._prepare()
        except BaseException:
            database.close()
            raise
        database._drop_name()
        if isinstance(file, int) and scratch is None:
            database._descriptor = os.dup(file)
        return database

    def park(self) -> bool:
        """Let go of the connection until the next statement; False where that cannot be, or a statement runs now."""
        if self._descriptor < 0 or not self._lock.acquire(blocking=False):
            return False
        try:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        finally:
            self._lock.release()
        return True

    def rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Row]:
        """Every row of the answer."""
        try:
            with self._lock:
                self._budget.ticks = 0
                cursor = (self._connection or self._reopened()).execute(sql, parameters)
                found = cursor.fetchmany(self._most_rows)
                cursor.close()
        except (*_REFUSALS, OverflowError) as error:
            raise _format_error(self._what, error) from error
        self.used = True
        if len(found) == self._most_rows:
            message = f"{self._what}: more rows than fit into its file; it is damaged"
            raise FormatError(message)
        return found

    def one(self, sql: str, parameters: tuple[Any, ...] = ()) -> Row | None:
        """The first row of the answer, or None."""
        try:
            with self._lock:
                self._budget.ticks = 0
                row: Row | None = (self._connection or self._reopened()).execute(sql, parameters).fetchone()
        except OverflowError:
            return None  # a number that SQLite cannot hold is in no row
        except _REFUSALS as error:
            raise _format_error(self._what, error) from error
        self.used = True
        return row

    def columns(self, table: str) -> frozenset[str]:
        """Names of the columns of a table; empty where there is no such table."""
        found = self.rows("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,))
        if any(hidden for _, hidden in found):
            message = f"{self._what}: the table `{table}` has columns that are computed; refused"
            raise FormatError(message)
        return frozenset(name.decode("utf-8", "replace").lower() for name, _ in found)

    def copy_to(self, target: sqlite3.Connection) -> None:
        """Copy the whole database, page by page, into an empty one."""
        with self._lock:
            (self._connection or self._reopened()).backup(target)

    def close(self) -> None:
        """Let go of the file. No other method may be called afterwards; closing twice is fine."""
        with self._lock:
            self._let_go()

    def __del__(self) -> None:
        # Catalogs are let go of while other threads may still read them (CatalogTree.forget): the last one closes.
        self._let_go()

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        _remove(self._scratch)

    def _drop_name(self) -> None:
        """Remove the copy's name while SQLite has it open, where that can be done: then nothing is left by a crash."""
        with contextlib.suppress(PermissionError):
            _remove(self._scratch)
            self._scratch = None

    def _prepare(self) -> None:
        """Bound what SQLite may do, and refuse what is no plain database."""
        connection = self._connection
        assert connection is not None  # noqa: S101 - it has just been made
        connection.set_progress_handler(self._budget.spend, _TICK)
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            encoding = connection.execute("PRAGMA encoding").fetchone()
            strange = connection.execute(_STRANGE).fetchone()
        except _REFUSALS as error:
            raise _format_error(self._what, error) from error
        if encoding != (b"UTF-8",):
            message = f"{self._what}: its text is not UTF-8"
            raise FormatError(message)
        if strange is not None:
            message = f"{self._what}: it holds {strange[0]!r}, which is neither table nor index; refused"
            raise FormatError(message)

    def _reopened(self) -> sqlite3.Connection:
        """The connection of a parked database, made anew; the lock is held. From a copy where the name is gone."""
        connection, self._scratch, _ = _connected(self._descriptor, self._what)
        self._connection = connection
        try:
            self._prepare()
        except BaseException:
            connection.close()
            self._connection = None
            raise
        self._drop_name()
        self.on_open(self)
        return connection


class _Budget:
    """How long the statement that runs may take. Apart from `Database`, so that this does not hold itself alive."""

    __slots__ = ("most", "ticks")

    def __init__(self, most: int) -> None:
        self.most = most
        self.ticks = 0

    def spend(self) -> bool:
        """Called by SQLite now and then; true ends the statement."""
        self.ticks += 1
        return self.ticks > self.most


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(os.fsencode(path.absolute()))}?immutable=1&mode=ro"
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
    connection.text_factory = bytes
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    return connection


def _ignore(_database: Database) -> None:
    """Nobody counts this one."""


def _connected(file: int | str | os.PathLike[str], what: str) -> tuple[sqlite3.Connection, Path | None, int]:
    """A connection, the copy that it reads where it needs one, and the size in bytes."""
    path, scratch, size = _located(file, what)
    try:
        return _connect(path), scratch, size
    except _REFUSALS:
        _remove(scratch)
        if scratch is not None or not isinstance(file, int):
            raise
    path, scratch, size = _located(file, what)  # the cache let go of the name just now: this time a copy is made
    try:
        return _connect(path), scratch, size
    except _REFUSALS:
        _remove(scratch)
        raise


def _located(file: int | str | os.PathLike[str], what: str) -> tuple[Path, Path | None, int]:
    """Where SQLite can open the file, the same if that is a copy which has to be removed, and the size in bytes."""
    try:
        size = os.stat(file).st_size
        path, scratch = _path_of(file) if isinstance(file, int) else (Path(file), None)
    except OSError as error:
        message = f"{what}: no file to open ({error.strerror}); it may have been removed from the cache"
        raise ObjectNotFound(message) from error
    return path, scratch, size


def _path_of(descriptor: int) -> tuple[Path, Path | None]:
    """A path under which SQLite can open the file, and the same if it is a copy that has to be removed."""
    with contextlib.suppress(OSError):
        # SQLite follows the link to the file's name, so the file must still have that name.
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(name.stat(), os.fstat(descriptor)):
                return name, None
        linked = name.with_name(f"swrepo-{os.urandom(8).hex()}.db")
        # Possible for files that never had a name (O_TMPFILE). The directory's descriptor has the link followed.
        os.link(f"/proc/self/fd/{descriptor}", linked, src_dir_fd=descriptor)
        return linked, linked
    import shutil
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="swrepo-", suffix=".db", delete=False) as copy:
        with open(os.dup(descriptor), "rb") as source:
            source.seek(0)
            shutil.copyfileobj(source, copy)
        return Path(copy.name), Path(copy.name)


def _remove(scratch: Path | None) -> None:
    if scratch is not None:
        scratch.unlink(missing_ok=True)


def _format_error(what: str, error: Exception) -> FormatError:
    return FormatError(f"{what} is not a sound database: {error}")
