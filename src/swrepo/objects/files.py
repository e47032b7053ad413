"""The bytes of one object into a new file, checked on the way; neither durable nor named."""

from __future__ import annotations

import os
from typing import BinaryIO

from swrepo.errors import CorruptObject
from swrepo.format.object_id import ObjectId

_MODE = 0o644
_BLOCK = 1 << 20


def write_object(temporary: str, object_id: ObjectId, stored: bytes | BinaryIO) -> int:
    """Write the object to the file `temporary`, whose directory is made if need be; its size in bytes.

    OSError, or CorruptObject where the bytes are not those of that name: then nothing is left.
    """
    if isinstance(stored, bytes):
        _check(object_id, object_id.algorithm.digest(stored))
    descriptor = _create(temporary)
    try:
        if isinstance(stored, bytes):
            _write_all(descriptor, stored)
            return len(stored)
        return _copy(descriptor, object_id, stored)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)


def _create(temporary: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    while True:
        try:
            return os.open(temporary, flags, _MODE)
        except FileNotFoundError:  # the first of this thread, or a flush took the directory away: nothing was in it
            os.mkdir(os.path.dirname(temporary))


def _copy(descriptor: int, object_id: ObjectId, stored: BinaryIO) -> int:
    hasher, size = object_id.algorithm.hasher(), 0
    while block := stored.read(_BLOCK):
        hasher.update(block)
        _write_all(descriptor, block)
        size += len(block)
    _check(object_id, hasher.digest())
    return size


def _check(object_id: ObjectId, digest: bytes) -> None:
    if digest != object_id.digest:
        raise CorruptObject(f"refusing to store bytes as {object_id} that do not match this name")


def _write_all(descriptor: int, block: bytes) -> None:
    written = os.write(descriptor, block)
    while written < len(block):
        written += os.write(descriptor, memoryview(block)[written:])
