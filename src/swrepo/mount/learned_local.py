"""The profiles of a node or site: files that an administrator put there, read beside the mount and not by it.

The directory may be on a network file system that hangs: then there are none of them, and nobody waits.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from swrepo.errors import FormatError
from swrepo.format import profile
from swrepo.format.profile import Profile

log = logging.getLogger(__name__)

AGAIN_AFTER = 600.0
"""Seconds after which the directory is read again."""

_PATIENCE = 1.0
"""Seconds that the start of a mount waits for them, so that the first program has them."""


class LocalProfiles:
    """`DIR/FQRN/NAME.json`, by repository. `version` counts how often they were read. Safe from any thread."""

    def __init__(self, directory: Path | None) -> None:
        self.version = 0
        self._directory = directory
        self._found: dict[str, tuple[tuple[str, Profile], ...]] = {}
        self._stopped = threading.Event()
        self._was_read = threading.Event()
        if directory is not None:
            threading.Thread(target=self._run, args=(directory,), name="profiles", daemon=True).start()
            self._was_read.wait(_PATIENCE)

    def of(self, fqrn: str) -> tuple[tuple[str, Profile], ...]:
        """Names and profiles for a repository, as they were read last."""
        return self._found.get(fqrn, ())

    @property
    def count(self) -> int:
        """Of all repositories."""
        return sum(map(len, self._found.values()))

    def close(self) -> None:
        """Read no more."""
        self._stopped.set()

    def _run(self, directory: Path) -> None:
        while True:
            try:
                found = {path.name: _read(path) for path in sorted(directory.iterdir()) if path.is_dir()}
            except OSError as error:
                log.warning("the directory of profiles cannot be read: %s", error)
            else:
                if found != self._found:
                    self._found = found
                    self.version += 1
            self._was_read.set()
            if self._stopped.wait(AGAIN_AFTER):
                return


def _read(directory: Path) -> tuple[tuple[str, Profile], ...]:
    found = []
    for file in sorted(directory.glob("*.json")):
        try:
            with file.open("rb") as stream:
                found.append((file.stem, profile.parse(stream.read(profile.MOST_BYTES + 1))))
        except (OSError, FormatError) as error:
            log.warning("the profile %s is left out: %s", file, error)
    return tuple(found)
