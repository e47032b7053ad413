"""Who still has a mount that was taken away: a new mount namespace, of a container, say, begins with a copy of all.

The kernel ends a FUSE connection when the last copy is gone, and the last program that stayed inside (`umount -l`).
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import NamedTuple

_SHOWN = 3


class Holder(NamedTuple):
    """A process in whose mount namespace a copy is; others may be in that namespace too."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.name})"


class Table:
    """The mounts of our own namespace. Its descriptor is exceptional (`select`) when one came or went."""

    def __init__(self) -> None:
        """OSError where there is no /proc."""
        self._descriptor = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)

    def fileno(self) -> int:
        """For `select`."""
        return self._descriptor

    def has(self, device: str) -> bool:
        """Whether `device` (MAJOR:MINOR) is mounted, wherever."""
        with open("/proc/self/mountinfo", "rb") as table:
            return _has(table.read(), device)

    def close(self) -> None:
        """Let go."""
        os.close(self._descriptor)


def holders(device: str) -> list[Holder]:
    """The first process of each other mount namespace that has a copy of `device`, as far as we may see.

    Touches nothing of the mount, so it answers for a dead one too.
    """
    found: list[Holder] = []
    seen = {os.readlink("/proc/self/ns/mnt")}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        with suppress(OSError):  # it has ended, or is not ours to look at
            namespace = os.readlink(f"/proc/{pid}/ns/mnt")
            if namespace in seen:
                continue
            with open(f"/proc/{pid}/mountinfo", "rb") as table, open(f"/proc/{pid}/comm", errors="replace") as name:
                seen.add(namespace)
                if _has(table.read(), device):
                    found.append(Holder(pid, name.read().strip()))
    return found


def in_words(found: list[Holder]) -> str:
    """For people; not more than a few."""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(map(str, found[:_SHOWN])) + more


def _has(table: bytes, device: str) -> bool:
    return re.search(rb"^\d+ \d+ %b " % re.escape(device.encode()), table, re.MULTILINE) is not None
