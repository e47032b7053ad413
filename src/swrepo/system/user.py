"""Who runs this."""

from __future__ import annotations

import os


def is_root() -> bool:
    """Whether everything is allowed; never where the system has no such user."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
