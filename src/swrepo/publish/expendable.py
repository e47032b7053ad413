"""SQLite files that may be lost at any time, because all they save is time: no write waits for the disk, and what is
damaged is thrown away and begun anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Prepare = Callable[[sqlite3.Connection], None]
"""Makes the tables of a file that has just been opened, and empties those that do not fit. May be called twice."""


def opened(path: Path, prepare: Prepare) -> sqlite3.Connection:
    """The file at `path`, with the tables that `prepare` makes. The connection may be used by one thread at a time."""
    try:
        return _open(path, prepare)
    except sqlite3.DatabaseError:  # damaged by a crash of the machine, or no database at all
        remove(path)
        return _open(path, prepare)


def remove(path: Path) -> None:
    """Forget everything; harmless where there is nothing."""
    for suffix in ("", "-journal"):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").unlink()


def _open(path: Path, prepare: Prepare) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        database.execute("PRAGMA synchronous = OFF")
        prepare(database)
    except BaseException:
        database.close()
        raise
    return database
