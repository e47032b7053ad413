"""Compression algorithms that a file's flags can name. Source: format.md 2."""

from __future__ import annotations

from enum import IntEnum


class Compression(IntEnum):
    """How an object is stored; the numbers are those of the format."""

    ZLIB = 0
    NONE = 1
