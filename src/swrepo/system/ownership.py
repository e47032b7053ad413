"""Files that root makes in somebody's directory, so that they can be used by that somebody afterwards."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def leave_to_owner(path: Path) -> None:
    """Where root made `path`, give it to the owner of the directory that it lies in; else do nothing."""
    if os.geteuid() != 0:
        return
    above = path.parent.stat()
    with suppress(OSError):  # in a user namespace the owner may have no number: then only its root ever comes here
        os.chown(path, above.st_uid, above.st_gid, follow_symlinks=False)
