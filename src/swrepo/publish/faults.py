"""What cannot be published, gathered so that one error names all of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from swrepo.errors import PublishError


@dataclass(slots=True)
class Faults:
    """Paths that cannot be published as they are, each with its reason. Written by one thread."""

    found: list[tuple[bytes, str]] = field(default_factory=list)
    skip_unreadable: bool = False
    """Paths that cannot be read are left as they were published, and are no faults."""
    skipped: list[tuple[bytes, str]] = field(default_factory=list)
    """Those paths."""

    def add(self, path: bytes, reason: str) -> None:
        self.found.append((path, reason))

    def add_os(self, path: bytes, error: OSError) -> None:
        """A system call that failed on `path`."""
        self.add_unreadable(path, error.strerror or str(error))

    def add_unreadable(self, path: bytes, reason: str) -> None:
        """What is at `path` cannot be told."""
        (self.skipped if self.skip_unreadable else self.found).append((path, reason))

    def skips(self, is_published: Callable[[bytes], bool]) -> tuple[tuple[bytes, str], ...]:
        """What was skipped, with the reason, and where that means that clients have nothing of it."""
        return tuple(
            (path, reason if is_published(path) else f"{reason}; it was not there, and is not now")
            for path, reason in self.skipped
        )

    def raise_any(self) -> None:
        """PublishError with every path, if there are any."""
        if not self.found:
            return
        lines = "".join(f"\n  {os.fsdecode(path) or '/'}: {reason}" for path, reason in self.found)
        count = len(self.found)
        raise PublishError(
            f"{count} {'path' if count == 1 else 'paths'} cannot be published; nothing was changed in the repository."
            f" Mend or remove and publish again (--skip-unreadable leaves out what cannot be read):{lines}"
        )
