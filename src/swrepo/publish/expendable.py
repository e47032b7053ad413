"""SQLite files that may be lost at any time, because all they save is time: no write waits for the disk, and what is
damaged or cannot be written is thrown away and begun anew by the next one.

A disk that lost its power may have kept any part of what was written, half a row among them. So rows that are believed
carry a checksum.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

Prepare = Callable[[sqlite3.Connection], None]
"""Makes the tables of a file that has just been opened, and empties those that do not fit. May be called twice."""

Row = tuple[Any, ...]


class Expendable:
    """The file at `path`, with the tables that `prepare` makes. May be used by one thread at a time.

    SQLite's errors stay here: a file that is of no use has no rows and takes none.
    """

    def __init__(self, path: Path, prepare: Prepare) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        for _ in range(2):  # a damaged one is begun anew
            try:
                self._database = _open(path, prepare)
            except sqlite3.Error:
                self.remove()
            else:
                return

    def rows(self, sql: str, parameters: Row = ()) -> list[Row]:
        """The answer to a query."""
        if self._database is not None:
            try:
                return self._database.execute(sql, parameters).fetchall()
            except sqlite3.Error:
                self.remove()
        return []

    def write(self, sql: str, rows: Iterable[Row]) -> None:
        """Run a statement for each row."""
        if self._database is not None:
            try:
                self._database.executemany(sql, rows)
            except sqlite3.Error:
                self.remove()

    def commit(self) -> None:
        """Let a successor find what was written."""
        if self._database is not None:
            try:
                self._database.commit()
            except sqlite3.Error:
                self.remove()

    def close(self) -> None:
        """Harmless when done twice, and after `remove`."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def remove(self) -> None:
        """Close, and forget everything."""
        with suppress(sqlite3.Error):
            self.close()
        self._database = None
        for suffix in ("", "-journal"):
            with suppress(OSError):
                Path(f"{self._path}{suffix}").unlink()


def checksum(row: Row) -> int:
    """What tells a row whose parts belong together."""
    return zlib.crc32(repr(row).encode())


def _open(path: Path, prepare: Prepare) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        database.execute("PRAGMA synchronous = OFF")
        prepare(database)
    except BaseException:
        database.close()
        raise
    return database
