"""The upper layer of an overlay mount: which paths it says were touched. What they are now, the union itself shows.

So whiteouts, renamed directories, metadata-only copies need no rules of their own here: a path in the upper layer is
one to look at, and a directory that hides what was below it ("opaque") is one to look at with all that it holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from swrepo.errors import PublishError
from swrepo.format.paths import ROOT
from swrepo.publish.changed import Touched

_PREFIXES = ("trusted.overlay.", "user.overlay.")
"""Where overlayfs keeps its notes: as root, and in a user namespace."""

_WHOLE = ("opaque", "redirect", "whiteouts")
"""Notes on a directory after which all below it has to be looked at."""


def touched(upper: bytes) -> Touched:
    """All that an upper layer says. PublishError where it cannot be read."""
    trees: set[bytes] = set()
    entries: set[bytes] = set()
    stack = [ROOT]
    while stack:
        path = stack.pop()
        entries.add(path)
        try:
            for name, is_directory in _listing(upper + path):
                below = path + b"/" + name
                if not is_directory:
                    entries.add(below)
                elif _is_whole(upper + below):
                    trees.add(below)
                else:
                    stack.append(below)
        except OSError as error:
            raise PublishError(
                f"cannot read what was changed in {os.fsdecode(path) or '/'}: {error.strerror}"
            ) from error
    return Touched(frozenset(trees), frozenset(entries), is_merged=True)


def _listing(directory: bytes) -> Iterator[tuple[bytes, bool]]:
    with os.scandir(directory) as found:
        for entry in found:
            yield entry.name, entry.is_dir(follow_symlinks=False)


def _is_whole(directory: bytes) -> bool:
    """Whether a directory of the upper layer is not simply merged with the one below it."""
    names = os.listxattr(directory, follow_symlinks=False)
    return any(prefix + note in names for prefix in _PREFIXES for note in _WHOLE)
