"""Standard output: JSON for programs, lines and tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def write_json(value: Any) -> None:
    """One document, on lines of its own."""
    print(json.dumps(value, indent=2, default=str))


def write_json_lines(records: Iterable[Any]) -> None:
    """One document per line, as they come."""
    for record in records:
        print(json.dumps(record, default=str))


def write_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns that line up; headings are left out where there are no rows to head."""
    if not rows:
        return
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
    for row in [headings, *rows]:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def note(text: str) -> None:
    """A sentence for the person who watches, on standard error."""
    print(text, file=sys.stderr)


def size_text(count: float) -> str:
    """A number of bytes as people read it."""
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def time_text(seconds: float) -> str:
    """A span as clocks show it: 2:10, 1:02:10."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
