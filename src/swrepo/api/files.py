"""Files that are open: `io` objects over the contents of a revision."""

from __future__ import annotations

import io
import os
from typing import IO, Any, cast

from swrepo.api.os_errors import all_raise_os_errors
from swrepo.errors import ReadOnly
from swrepo.repository.content import Content

BUFFER = 64 << 10
_ACCEPTED = frozenset("rbt")
_WRITING = frozenset("wax+")


@all_raise_os_errors
class RawFile(io.RawIOBase):
    """The bytes of one file, unbuffered. It keeps them, whatever the repository shows meanwhile."""

    def __init__(self, content: Content, name: str) -> None:
        """Take over `content`; `name` is what the file was opened by."""
        self._content = content
        self._position = 0
        self.name = name
        self.mode = "rb"

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` as far as the file goes."""
        self._check_open()
        view = memoryview(buffer).cast("B")
        found = self._content.pread(self._position, len(view))
        view[: len(found)] = found
        self._position += len(found)
        return len(found)

    def readall(self) -> bytes:
        """What is left of the file."""
        self._check_open()
        found = self._content.pread(self._position, max(0, self._content.size - self._position))
        self._position += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._check_open()
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._content.size}.get(whence)
        if base is None:
            raise ValueError(f"seek: whence is {whence}, not 0, 1 or 2")
        if base + offset < 0:
            raise ValueError(f"seek: to {base + offset}, before the file's first byte")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        self._check_open()
        return self._position

    def close(self) -> None:
        """Let go of the objects; closing twice is fine."""
        if not self.closed:
            self._content.close()
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


def check_mode(mode: str) -> bool:
    """Whether `mode` wants bytes (or else text). ReadOnly, ValueError."""
    letters = set(mode)
    if letters & _WRITING:
        raise ReadOnly(f"mode {mode!r}: a repository can only be read; it changes by 'swrepo server publish'")
    if not letters <= _ACCEPTED or "r" not in letters or {"b", "t"} <= letters or len(letters) != len(mode):
        raise ValueError(f"mode {mode!r} is none of 'r', 'rt', 'rb'")
    return "b" in letters


def opened(content: Content, name: str, buffering: int, text: tuple[str, str | None, str | None] | None) -> IO[Any]:
    """A file object as `open` makes one; `text` is (encoding, errors, newline), None for a binary file. ValueError."""
    if text is not None and buffering == 0:
        raise ValueError("text cannot be unbuffered")
    raw = RawFile(content, name)
    if buffering == 0:
        return cast("IO[Any]", raw)
    buffered = io.BufferedReader(raw, buffering if buffering > 1 else BUFFER)
    return buffered if text is None else io.TextIOWrapper(buffered, *text)
