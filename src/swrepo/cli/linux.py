"""Mounting speaks the Linux kernel's FUSE protocol; elsewhere repositories are read without a mount."""

from __future__ import annotations

import sys

from swrepo.errors import MountFailed


def require_linux(program: str) -> None:
    """MountFailed on any other system."""
    if sys.platform != "linux":
        raise MountFailed(
            f"{program} needs Linux, whose kernel shows the mount; here 'swrepo ls', 'cat', 'find' and 'cp' read "
            "a repository without one"
        )
