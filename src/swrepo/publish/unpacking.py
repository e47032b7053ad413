"""A compressed stream as plain bytes, by what it begins with: gzip, xz, bzip2, zstd, or nothing of the kind.

One stream after another, as `cat a.gz b.gz` makes them, are one. Memory does not grow with the stream.
"""

from __future__ import annotations

import bz2
import io
import lzma
from collections.abc import Callable
from typing import NamedTuple, Protocol, cast

import zstandard
from isal import igzip, isal_zlib

from swrepo.errors import FormatError
from swrepo.publish.member import Read

_LONGEST_MAGIC = 6
_READ = 256 << 10
_ZSTD_WINDOW = 256 << 20
"""Bytes of the largest window that is accepted; `zstd --long=27` needs 128 MB."""

_ISAL_ERROR = cast("type[Exception]", isal_zlib.error)


class _Readable(Protocol):
    def read(self, size: int) -> bytes: ...


class Plain(NamedTuple):
    """`read` gives up to so many plain bytes, none at the end; FormatError. `is_sealed`: checksums prove the end."""

    read: Read
    is_sealed: bool


class _Raw(io.RawIOBase):
    """A function that reads, as the file that decompressors want."""

    def __init__(self, read: Read) -> None:
        super().__init__()
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Again:
    """A stream whose beginning was read already."""

    def __init__(self, start: bytes, rest: Read) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int) -> bytes:
        if not self._start:
            return self._rest(size)
        data, self._start = self._start[:size], self._start[size:]
        return data


def unpacked(read: Read) -> Plain:
    """Look at the beginning of what `read` gives, and undo what was done to it."""
    start = b""
    while len(start) < _LONGEST_MAGIC and (more := read(_LONGEST_MAGIC - len(start))):
        start += more
    again = _Again(start, read)
    for magic, name, opened in _KINDS:
        if start.startswith(magic):
            return Plain(_guarded(opened(io.BufferedReader(_Raw(again.read), _READ)), name), is_sealed=True)
    return Plain(again.read, is_sealed=False)


def _guarded(file: _Readable, name: str) -> Read:
    def read(size: int) -> bytes:
        try:
            return file.read(size)
        except EOFError as error:
            raise FormatError(f"the {name} stream breaks off: it is truncated") from error
        except (lzma.LZMAError, zstandard.ZstdError, _ISAL_ERROR, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the input cannot be read
            raise FormatError(f"the {name} stream is damaged: {error}") from error

    return read


def _gzip(file: io.BufferedReader) -> _Readable:
    return cast("_Readable", igzip.IGzipFile(fileobj=file))  # type: ignore[no-untyped-call]


def _xz(file: io.BufferedReader) -> _Readable:
    return lzma.LZMAFile(file)


class _Zstd:
    """zstandard's own reader takes a stream that breaks off for one that ends."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._frame = self._decompressor.decompressobj()
        self._input = b""
        self._output = memoryview(b"")
        self._is_begun = False

    def read(self, size: int) -> bytes:
        while not len(self._output):
            if not self._input:
                self._input = self._file.read1(_READ)
            if not self._input:
                if self._is_begun:
                    raise EOFError
                return b""
            if self._frame.eof:
                self._frame = self._decompressor.decompressobj()
            self._is_begun = True
            # A little at a time: what it inflates to is all held.
            data, self._input = self._input[:_ZSTD_STEP], self._input[_ZSTD_STEP:]
            self._output = memoryview(self._frame.decompress(data))
            if self._frame.eof:
                self._input = self._frame.unused_data + self._input
                self._is_begun = False
        data, self._output = bytes(self._output[:size]), self._output[size:]
        return data


_ZSTD_STEP = 256
"""Bytes of input at a time. The worst inflate to 128 KB for each four."""

_KINDS: tuple[tuple[bytes, str, Callable[[io.BufferedReader], _Readable]], ...] = (
    (b"\x1f\x8b", "gzip", _gzip),
    (b"\xfd7zXZ\0", "xz", _xz),
    (b"BZh", "bzip2", bz2.BZ2File),
    (b"\x28\xb5\x2f\xfd", "zstd", _Zstd),
)
