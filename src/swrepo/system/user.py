"""Who runs this."""

from __future__ import annotations

import os


def is_root() -> bool:
    """Whether everything is allowed; never where the system has no such user."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def user_id() -> int:
    """The number of the user whose rights count; 0 where the system numbers nobody."""
    return os.geteuid() if hasattr(os, "geteuid") else 0
