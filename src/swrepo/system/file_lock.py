"""A file that one process at a time has locked, on every system; the lock ends with the process."""

from __future__ import annotations

import errno
import os
import sys

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_ONE_BYTE = 1
_BEYOND = 1 << 30
"""Where Windows locks: a byte that nobody writes, for what is locked there cannot be read either."""
_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


def try_to_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False where another has it. Other OSErrors (no locks there) are raised."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _BEYOND, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, _ONE_BYTE)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True
