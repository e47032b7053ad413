"""Objects of the repository as plain local files, for reading the last revision's catalogs. Holds nothing for later."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from swrepo.objects.store import ObjectSource, Want


class PlainObjects:
    """LocalObjects over any source: each `open` decodes the object into a file without a name below `scratch`."""

    def __init__(self, source: ObjectSource, scratch: Path) -> None:
        self._source = source
        self._scratch = scratch

    def open(self, want: Want) -> int:
        """See LocalObjects."""
        with tempfile.TemporaryFile(dir=self._scratch) as file:
            self._source.fetch(want, file)
            file.flush()
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            return os.dup(file.fileno())

    def open_if_here(self, want: Want) -> int | None:
        """See LocalObjects: nothing is ever here without decoding."""
        del want
        return None
