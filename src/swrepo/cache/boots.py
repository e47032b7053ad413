"""Runs of the machine, from one start to the next."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

NO_BOOT = bytes(8)
"""Where the system does not number its starts."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> bytes:
    """Eight bytes that are others after each start of the machine."""
    try:
        return UUID(_BOOT_ID.read_text("ascii").strip()).bytes[:8]
    except (OSError, ValueError):
        return NO_BOOT
