"""What a cache needs of the directory it lies in, and which way of it this system offers.

Nothing here says what the files hold.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from swrepo.errors import CacheFull, PermissionRefused, SwrepoError


class CacheDirectory(Protocol):
    """A directory that many processes share, each with unfinished files of its own. Safe from any thread."""

    def open(self, directory: str, name: str) -> tuple[int, os.stat_result] | None:
        """Descriptor and status of a regular file; None where there is none (whatever else may lie there)."""
        ...

    def was_removed(self) -> bool:
        """Whether the directory has no name any more (another one may have its place)."""
        ...

    def create(self) -> tuple[int, str]:
        """A new unfinished file: descriptor and name. OSError; FileNotFoundError where the directory was removed."""
        ...

    def commit(self, unfinished: str, directory: str, name: str) -> None:
        """Give an unfinished file, closed by now, its name, atomically, in place of whatever has it now. OSError."""
        ...

    def discard(self, unfinished: str) -> None:
        """Remove an unfinished file."""
        ...

    def close(self) -> None:
        """Let go; unfinished files of this process are gone with it."""
        ...


class ReadableDirectory(Protocol):
    """The part of it that writes nothing."""

    def open(self, directory: str, name: str) -> tuple[int, os.stat_result] | None:
        """See CacheDirectory."""
        ...

    def close(self) -> None:
        """See CacheDirectory."""
        ...


Enter = Callable[[Path], CacheDirectory]
"""Makes (for this user alone) or takes over a cache's directory. OSError, PermissionRefused."""

enter: Enter
enter_shared: Enter
"""For many hosts at once."""
enter_to_fill: Enter
"""For others to read; what came is brought to the disk at the end."""
enter_to_read: Callable[[Path], ReadableDirectory]
if os.open in os.supports_dir_fd:
    from swrepo.cache.anchored import AnchoredDirectory
    from swrepo.cache.communal import BY_MASK, CommunalDirectory
    from swrepo.cache.reading import AnchoredReader

    enter, enter_shared, enter_to_read = AnchoredDirectory, CommunalDirectory, AnchoredReader
    enter_to_fill = partial(CommunalDirectory, modes=BY_MASK, durable=False)
else:
    from swrepo.cache.named import NamedDirectory, NamedReader

    enter = enter_shared = enter_to_fill = NamedDirectory
    enter_to_read = NamedReader


def refusal(root: Path, error: OSError) -> SwrepoError:
    """The operating system's no, as ours."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return CacheFull(f"no room for an object in the cache {root}: {reason}; free some or choose another --cache")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionRefused(f"cannot write to the cache {root}: {reason}; check its owner or choose another")
    return SwrepoError(f"the cache {root} cannot be used: {reason}; choose another --cache")
