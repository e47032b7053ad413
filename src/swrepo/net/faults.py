"""What can go wrong between us and a server, sorted by who is to blame: fail-over decides by these.

Source: format.md 11, "Fail-over classes".
"""

from __future__ import annotations

from enum import Enum

from swrepo.errors import Unreachable


class Fault(Enum):
    """Class of one failed try."""

    PROXY_NAME = "the proxy's name does not resolve"
    SERVER_NAME = "the server's name does not resolve"
    BROKEN = "refused, reset, stalled or cut short: the proxy's fault if there is one, else the server's; worth a retry"
    PROXY_ANSWER = "the proxy answered in place of the server"
    MISSING = "the server says that it does not have it (404)"
    SERVER_ANSWER = "the server answered with an error (400, 5xx)"
    BUSY = "the server asks for patience (429)"
    CORRUPT = "the bytes did not match the object's name"
    UNUSABLE = "the URL or the server's certificate cannot be used"
    CANCELLED = "nobody waits for the answer any more"


class TransferFailed(Unreachable):
    """One transfer ended without a complete response."""

    def __init__(self, message: str, fault: Fault, address: str | None = None, *, timed_out: bool = False) -> None:
        """`address`: the server's, where a connection to it came about."""
        self.fault = fault
        self.address = address
        super().__init__(message, timed_out=timed_out)
