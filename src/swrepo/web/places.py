"""Where on earth addresses are: a MaxMind database (`.mmdb`), which may be replaced while it is in use."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import maxminddb

from swrepo.errors import FormatError
from swrepo.web.geo import Place

_LOOKS = 300.0
"""Seconds after which it is looked whether there is another file."""


class Database:
    """The file at `path`, which need not be there yet. For one thread."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked: float | None = None
        self._known: tuple[int, int] | None = None
        self._reader: maxminddb.Reader | None = None
        self.trouble = ""
        """Why it knows nothing, where the file is there and cannot be read."""

    @property
    def is_there(self) -> bool:
        """Whether anything can be asked."""
        self._look()
        return self._reader is not None

    def find(self, address: str) -> Place | None:
        """Where an address is; None where it is none, or nobody knows."""
        self._look()
        if self._reader is None:
            return None
        try:
            found: Any = self._reader.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):  # no address, or one of IPv6 that the file has none of
            return None
        location: Any = found.get("location") if isinstance(found, dict) else None
        try:
            return Place(float(location["latitude"]), float(location["longitude"]))
        except (TypeError, KeyError, ValueError):
            return None

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _look(self) -> None:
        """Open the file that is there now, where it is another one than before."""
        now = self._clock()
        if self._looked is not None and now < self._looked + _LOOKS:
            return
        self._looked = now
        try:
            status = self._path.stat()
        except OSError:
            return  # what was open goes on
        if self._known == (status.st_ino, status.st_mtime_ns):
            return
        try:
            reader = open_database(self._path)
        except FormatError as error:
            self.trouble = str(error)
            return
        self.close()
        self._reader, self._known, self.trouble = reader, (status.st_ino, status.st_mtime_ns), ""


def open_database(path: Path) -> maxminddb.Reader:
    """A database of places. FormatError where it is none."""
    try:
        return maxminddb.open_database(path, maxminddb.MODE_MMAP)
    except (maxminddb.InvalidDatabaseError, OSError, ValueError) as error:
        raise FormatError(f"{path} is no MaxMind database of places (.mmdb): {error}") from error
