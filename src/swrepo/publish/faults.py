"""What cannot be published, gathered so that one error names all of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from swrepo.errors import PublishError


@dataclass(slots=True)
class Faults:
    """Paths that cannot be published as they are, each with its reason. Written by one thread."""

    found: list[tuple[bytes, str]] = field(default_factory=list)

    def add(self, path: bytes, reason: str) -> None:
        self.found.append((path, reason))

    def add_os(self, path: bytes, error: OSError) -> None:
        """A system call that failed on `path`."""
        self.add(path, error.strerror or str(error))

    def raise_any(self) -> None:
        """PublishError with every path, if there are any."""
        if not self.found:
            return
        lines = "".join(f"\n  {os.fsdecode(path) or '/'}: {reason}" for path, reason in self.found)
        count = len(self.found)
        raise PublishError(
            f"{count} {'path' if count == 1 else 'paths'} cannot be published; nothing was changed in the repository."
            f" Mend or remove and publish again:{lines}"
        )
