"""Files that the kernel reads by itself in place of ours: FUSE passthrough.

It takes kernel 6.9, and the machine's root.
"""

from __future__ import annotations

import fcntl
from struct import Struct

_MAP = Struct("=iIQ")
"""descriptor, flags, padding"""

_NUMBER = Struct("=I")


def _command(number: int, size: int) -> int:
    """As `_IOW` of Linux makes it for the device of FUSE."""
    return 1 << 30 | size << 16 | 229 << 8 | number


_OPEN = _command(1, _MAP.size)
_CLOSE = _command(2, _NUMBER.size)


def register(device: int, descriptor: int) -> int:
    """The number under which the kernel knows an open file from now on; the descriptor may be closed. OSError.

    EPERM: not the machine's root, or not agreed on. ELOOP: the file is on a file system that lies over another.
    """
    number: int = fcntl.ioctl(device, _OPEN, bytearray(_MAP.pack(descriptor, 0, 0)))  # bytes would come back as bytes
    return number


def release(device: int, number: int) -> None:
    """Let go of such a number; what was opened with it stays open. OSError."""
    fcntl.ioctl(device, _CLOSE, bytearray(_NUMBER.pack(number)))
