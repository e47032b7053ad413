"""The kernel's notices of what changes in directories (inotify), without any rule about them."""

from __future__ import annotations

import ctypes
import os
import struct
from functools import cache
from typing import NamedTuple, Self

MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x2, 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
DELETE_SELF, MOVE_SELF, UNMOUNT, OVERFLOW, IGNORED, IS_DIRECTORY = 0x400, 0x800, 0x2000, 0x4000, 0x8000, 0x40000000
"""Bits of `Event.mask`."""

EVERY_CHANGE = MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF
_ONLY_DIRECTORIES, _DO_NOT_FOLLOW, _NOT_OF_REMOVED = 0x01000000, 0x02000000, 0x04000000
_HEAD = struct.Struct("iIII")
_BUFFER = 1 << 20


class Event(NamedTuple):
    """One notice: `watch` is what `Inotify.add` returned, `name` what is meant in that directory, empty for itself."""

    watch: int
    mask: int
    name: bytes


class Inotify:
    """A queue of notices. Raises OSError: ENOSPC where the user watches as many directories as the kernel allows."""

    def __init__(self) -> None:
        self._descriptor = _checked(_libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def fileno(self) -> int:
        """Readable as soon as there are notices."""
        return self._descriptor

    def add(self, directory: bytes, mask: int = EVERY_CHANGE) -> int:
        """Watch a directory, without those in it. The same number again for one that is watched."""
        flags = mask | _ONLY_DIRECTORIES | _DO_NOT_FOLLOW | _NOT_OF_REMOVED
        return _checked(_libc().inotify_add_watch(self._descriptor, directory, ctypes.c_uint32(flags)), directory)

    def remove(self, watch: int) -> None:
        """Watch a directory no more; one that is gone is none any more already."""
        _libc().inotify_rm_watch(self._descriptor, watch)

    def read(self) -> list[Event]:
        """The notices that are there; none where there are none."""
        try:
            data = os.read(self._descriptor, _BUFFER)
        except BlockingIOError:
            return []
        found, at = [], 0
        while at < len(data):
            watch, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            found.append(Event(watch, mask, data[at : at + length].rstrip(b"\0")))
            at += length
        return found

    def close(self) -> None:
        """Watch nothing any more."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, path: bytes | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result
