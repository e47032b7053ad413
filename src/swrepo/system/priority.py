"""What nobody waits for goes last: the processor and the disk are for others first."""

from __future__ import annotations

import ctypes
import os
import platform
import threading
from contextlib import suppress

_NICEST = 19
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_THREAD, _IDLE_CLASS = 1, 3 << 13


def go_last() -> None:
    """Have this thread run, and use the disk, when others do not. Where the system cannot, nothing changes."""
    thread = threading.get_native_id()
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, thread, _NICEST)  # of Linux, where threads have priorities of their own
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None and hasattr(os, "setpriority"):
        with suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).syscall(number, _THREAD, thread, _IDLE_CLASS)
