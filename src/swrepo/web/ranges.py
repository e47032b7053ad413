"""`Range: bytes=...` of a request, as a slice of a file. Source: RFC 9110, section 14."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Slice:
    """`length` bytes from `start`."""

    start: int
    length: int


class Unsatisfiable(Exception):
    """The range lies behind the end of the file: the answer is 416."""


def parse_range(header: str | None, size: int) -> Slice | None:
    """The part that is asked for; None for the whole: no range, several of them, or nothing that we understand."""
    match = _ONE.fullmatch(header) if header else None
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return _suffix(last, size)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Slice(start, end - start + 1)


def _suffix(last: str, size: int) -> Slice | None:
    if not last:
        return None
    length = min(int(last), size)
    if not length:
        raise Unsatisfiable
    return Slice(size - length, length)
