"""Files are often opened in the order of their rows: then one statement reads the rows of many."""

from __future__ import annotations

from collections.abc import Callable

from swrepo.format.dirent import Dirent
from swrepo.vfs.nodes import Span

_NEAR = 8
"""Rows between two files that still count as one after the other: entries of other kinds lie between."""

_MANY = 32


class RowsInOrder:
    """Notices who goes through the rows of one catalog in order. For one thread at a time."""

    def __init__(self) -> None:
        self._last = 0

    def following(self, span: Span, row: int, number: int, note: Callable[[int, Dirent], object]) -> Dirent | None:
        """The entry of a row, noting those that follow; None where nothing speaks for reading more than the one."""
        is_next = 0 < number - self._last <= _NEAR
        self._last = number
        if not is_next or span.catalog is None:
            return None
        found = None
        for entry in span.catalog.rows_from(row, _MANY):
            if entry.rowid == row:
                found = entry
            elif entry.is_regular and not entry.hardlink_group:
                note(span.number(entry.rowid), entry)
                self._last = number + entry.rowid - row
        return found
