"""What systemd is told about a service of type `notify` (the protocol of sd_notify)."""

from __future__ import annotations

import logging
import socket

ADDRESS_VARIABLE = "NOTIFY_SOCKET"

log = logging.getLogger(__name__)


def tell_ready(address: str | None) -> None:
    """Say that the service answers, to who listens at `address`; None where nobody does."""
    if not address:
        return
    name = f"\0{address[1:]}" if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as there:
            there.sendto(b"READY=1", name)
    except OSError as error:
        log.warning("systemd cannot be told that the mount answers: %s", error.strerror)
