"""A request of the kernel as handlers see it, what they return, and the answers that need no file system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from swrepo.errors import ReadOnly, SwrepoError
from swrepo.fuse import wire
from swrepo.fuse.wire import Opcode


class Request(NamedTuple):
    """One request of the kernel. `body` is what follows the header."""

    unique: int
    opcode: int
    node: int
    uid: int
    gid: int
    pid: int
    body: bytes


class Later:
    """The type of LATER: no reply comes from the handler."""


LATER: Final = Later()
"""What a handler returns when `Session.answer` will follow, or nothing is to be replied."""

Handler = Callable[[Request], bytes | Later]
InterruptRule = Callable[[Request], bool]


class FailedBefore(SwrepoError):
    """What another request, or the same one a moment ago, failed of: the log has it already."""


def refuse_write(request: Request) -> Later:
    """Handler of whatever would change the file system."""
    message = f"{name_of(request.opcode)}: the file system is read-only"
    raise ReadOnly(message)


def nothing(_request: Request) -> bytes:
    """Handler of what wants an empty answer."""
    return b""


def open_cached(_request: Request) -> bytes:
    """Handler of OPEN and OPENDIR: all may be kept."""
    return wire.OPEN_OUT.pack(0, wire.FOPEN_KEEP_CACHE | wire.FOPEN_CACHE_DIR, 0)


def operation(request: Request) -> str:
    """The request in the log, by its number."""
    return f"{name_of(request.opcode)} of node {request.node}"


def name_of(opcode: int) -> str:
    """The name of an operation."""
    try:
        return Opcode(opcode).name
    except ValueError:
        return f"request {opcode}"
