"""The kernel's calls on mounts and namespaces, for this process alone, and on its end. Each raises OSError with the
call's reason.
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache

RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, SLAVE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 19
"""Flags of mount(2)."""

NEW_MOUNTS, NEW_USERS, NEW_PROCESSES = 0x20000, 0x10000000, 0x20000000
"""Flags of unshare(2)."""

_DETACH = 2
_SET_DEATH_SIGNAL, _KILL = 1, 9
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "loongarch64": 41, "ppc64le": 203, "s390x": 217}
"""The system call has no function in the C library."""


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Attach a file system, or a part of one, to a directory."""
    _check(
        _libc().mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode() if kind is not None else None,
            ctypes.c_ulong(flags),
            data.encode() if data else None,
        ),
        target,
    )


def detach(target: str) -> None:
    """Take a mount from sight at once, whoever still uses it."""
    _check(_libc().umount2(os.fsencode(target), _DETACH), target)


def unshare(flags: int) -> None:
    """Leave namespaces for new ones. Those of users: only where there is one thread."""
    _check(_libc().unshare(flags), None)


def end_with_parent() -> None:
    """Have the kernel kill this process when the one that forked it ends."""
    _check(_libc().prctl(_SET_DEATH_SIGNAL, ctypes.c_ulong(_KILL)), None)


def pivot_root(new: str, old: str) -> None:
    """Make `new`, a mount point, the root, and what was the root appear at `old` below it."""
    number = _PIVOT_ROOT.get(platform.machine(), -1)
    _check(_libc().syscall(ctypes.c_long(number), os.fsencode(new), os.fsencode(old)), new)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, path: str | None) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
