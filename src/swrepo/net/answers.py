"""Answers to GETs of small objects, taken out of the bytes of an HTTP/1.1 connection. Pure.

Only the plainest form is read: a status, a length, a body. Whatever else a server may say is `Unusual`, for libcurl.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from swrepo.errors import SwrepoError

_LONGEST_HEAD = 64 << 10
_HEAD_ENDS = b"\r\n\r\n"
_FIRST_LINE = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])[ \r]")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,12})[ \t]*(?=\r\n)")
_NO_BODY = (204, 304)


class Unusual(SwrepoError):
    """The server says something that is not read here; the connection is of no use any more."""


class Answer(NamedTuple):
    """What came for one GET. `is_last`: the server closes the connection behind it."""

    status: int
    body: bytes
    is_last: bool


class Answers:
    """The answers of one connection, one after the other. For one thread at a time."""

    __slots__ = ("_data", "_is_last", "_missing", "_start", "_status")

    def __init__(self) -> None:
        self._data = b""
        self._start = 0
        """Where the body begins whose head was read; 0: the next is a head."""
        self._missing = 0
        self._status = 0
        self._is_last = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come of the next answer."""
        return not self._data

    def next(self, data: bytes, most: int) -> Answer | None:
        """More came, or nothing more (b""): the next answer where it is complete. A body has at most `most` bytes."""
        held = self._data = self._data + data if self._data else data
        if not self._start and not self._read_head(held, most):
            return None
        end = self._start + self._missing
        if len(held) < end:
            return None
        answer = Answer(self._status, held[self._start : end], self._is_last)
        self._data = held[end:]
        self._start = 0
        return answer

    def _read_head(self, held: bytes, most: int) -> bool:
        end = held.find(_HEAD_ENDS)
        if end < 0:
            if len(held) > _LONGEST_HEAD:
                raise Unusual(f"a head of more than {_LONGEST_HEAD} bytes")
            return False
        first = _FIRST_LINE.match(held)
        if first is None:
            raise Unusual(f"an answer that begins with {held[:40]!r}")
        head = held[: end + 2].lower()
        lengths = _LENGTH.findall(head)
        self._status = int(first[1])
        if len(lengths) != 1 or b"\r\ntransfer-encoding:" in head or self._status in _NO_BODY:
            raise Unusual(f"a status {self._status} without a length")
        self._missing = int(lengths[0])
        if self._missing > most:
            raise Unusual(f"a body of {self._missing} bytes, where {most} are the most")
        self._is_last = b"\r\nconnection: close\r\n" in head
        self._start = end + len(_HEAD_ENDS)
        return True
