"""The records that lead from a mount to its control socket: in one directory a link for each, named as its device.

They are for who knows neither the mount's cache nor its repository. A record may be older than its mount: who uses it
asks the socket.
"""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from pathlib import Path

from swrepo.fuse.mount import device_of, place_of

log = logging.getLogger(__name__)

_DEVICE = re.compile(r"[0-9]+:[0-9]+")


def record(directory: Path, mountpoint: str, socket: Path) -> Path | None:
    """Leave a record, whoever had one of that name; None where there can be none."""
    device = device_of(place_of(mountpoint))
    if device is None:
        return None
    link, fresh = directory / device, directory / f".{device}.{os.getpid()}"
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(socket)
        fresh.replace(link)
    except OSError as error:
        log.info("no record of the mount in %s: %s", directory, error.strerror)
        return None
    return link


def withdraw(link: Path, socket: Path) -> None:
    """Take a record away, unless it is another mount's by now."""
    with suppress(OSError):
        if os.readlink(link) == str(socket):
            link.unlink()


def recorded_sockets(directory: Path) -> list[Path]:
    """The control sockets of the records that lead to one."""
    found = []
    with suppress(OSError):
        for name in sorted(os.listdir(directory)):
            if _DEVICE.fullmatch(name):
                with suppress(OSError):
                    target = Path(os.readlink(directory / name))
                    if target.is_absolute() and target.is_socket():
                        found.append(target)
    return found
