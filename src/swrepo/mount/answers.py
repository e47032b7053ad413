"""Answers as the bytes that the kernel takes, and back."""

from __future__ import annotations

from collections.abc import Iterator

from swrepo.errors import SwrepoError
from swrepo.fuse import wire
from swrepo.fuse.request import Request
from swrepo.fuse.wire import Opcode
from swrepo.repository.status import Status
from swrepo.vfs.tree import Listed

BLOCK_SIZE = 4096
NO_ATTRIBUTES = (0,) * 16


def attributes(number: int, found: Status) -> tuple[int, ...]:
    """The sixteen attributes of the wire. Access and change times are those of the last change, as in the original."""
    mode, nlink, uid, gid, rdev, size, mtime, mtime_ns = found
    return (
        number,
        size,
        size + 511 >> 9,
        mtime,
        mtime,
        mtime,
        mtime_ns,
        mtime_ns,
        mtime_ns,
        mode,
        nlink & 0xFFFFFFFF,
        uid,
        gid,
        rdev & 0xFFFFFFFF,
        BLOCK_SIZE,
        0,
    )


def name_only(item: Listed) -> bytes:
    """An entry whose attributes the kernel has to ask for if it needs them."""
    return wire.DIRENT_PLUS.pack(
        0, 0, 0, 0, 0, 0, *NO_ATTRIBUTES, item.number, item.cookie, len(item.name), item.mode >> 12
    )


def sized(value: bytes, size: int) -> bytes:
    """Answer of an attribute call: the length when asked with size 0, else the value if it fits."""
    if size == 0:
        return wire.XATTR_SIZE.pack(len(value), 0)
    if len(value) > size:
        raise TooSmall(f"{len(value)} bytes do not fit into {size}")
    return value


def numbers_told(request: Request, payload: bytes) -> Iterator[int]:
    """The node numbers that an answer tells the kernel of, each to be forgotten once."""
    if request.opcode == Opcode.LOOKUP:
        yield from (number for number in wire.ENTRY.unpack_from(payload)[:1] if number)
    elif request.opcode == Opcode.READDIRPLUS:
        position = 0
        while position < len(payload):
            fields = wire.DIRENT_PLUS.unpack_from(payload, position)
            if fields[0]:
                yield fields[0]
            length: int = fields[-2]
            position += wire.DIRENT_PLUS.size + length + (-length & 7)


class NotSupported(SwrepoError):
    """The file system does not know such attributes, so there is no point in asking another entry."""

    errno = 95  # EOPNOTSUPP


class TooSmall(SwrepoError):
    """The caller's buffer does not hold the attribute."""

    errno = 34  # ERANGE
