"""How many descriptors this process may have open, and having as many as the system allows."""

from __future__ import annotations

import sys
from contextlib import suppress

_MOST = 1 << 20
"""More is of no use to anybody, and where there is no limit, a number has to be named."""

ROOM = 4096
"""Descriptors for whom the kernel makes room at once: 32 KB."""

if sys.platform == "win32":

    def limit() -> int:
        """The limit that holds now: what the C library allows."""
        return 8192

    def raise_limit() -> None:
        """Nothing can be had beyond that."""

    def make_room() -> None:
        """There always is."""

else:
    import fcntl
    import os
    import resource

    def limit() -> int:
        """The limit that holds now."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return _MOST if soft == resource.RLIM_INFINITY else min(soft, _MOST)

    def raise_limit() -> None:
        """Let this process, and what it starts, open as many as the administrator allows: most begin with 1024."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
        if wanted > limit():
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    def make_room() -> None:
        """Have the kernel's table of this process hold `ROOM` descriptors, before there is a second thread.

        Later, each time that it has to double (at 64, 256, 512, ...) whoever opens a file waits for all processors to
        have taken note, for 10 to 30 ms.
        """
        with suppress(OSError):
            descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.close(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, min(ROOM, limit()) - 1))
            finally:
                os.close(descriptor)
