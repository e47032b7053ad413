"""Memory that was freed goes back to the system, where the C library can be told so."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def give_back() -> None:
    """Have the allocator return what it keeps for later. Takes milliseconds; for moments when nobody waits."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)
