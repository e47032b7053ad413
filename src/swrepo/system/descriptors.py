"""How many descriptors this process may have open, and having as many as the system allows."""

from __future__ import annotations

import sys
from contextlib import suppress

_MOST = 1 << 20
"""More is of no use to anybody, and where there is no limit, a number has to be named."""

if sys.platform == "win32":

    def limit() -> int:
        """The limit that holds now: what the C library allows."""
        return 8192

    def raise_limit() -> None:
        """Nothing can be had beyond that."""

else:
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
