"""Limits that keep a repository fit for its readers: entries of a catalog, bytes of a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from swrepo.errors import PublishError
from swrepo.publish.changes import Change, Put
from swrepo.publish.faults import Faults

_THOUSAND = 1000
_MEGABYTE_BITS = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Thousands of entries of the root catalog and of any other, megabytes of a file; 0 for no limit.

    `enforced`: what exceeds one is not published. Else it is a warning. Source of the defaults: features.md 9.
    """

    root_kilo_entries: int = 200
    nested_kilo_entries: int = 500
    file_megabytes: int = 1024
    enforced: bool = False

    def excess_of_file(self, size: int) -> str | None:
        """What is wrong with a file of `size` bytes."""
        megabytes = size >> _MEGABYTE_BITS
        if not self.file_megabytes or megabytes <= self.file_megabytes:
            return None
        return f"has {megabytes:,} MB, the limit is {self.file_megabytes:,} (CVMFS_FILE_MBYTE_LIMIT)"

    def excess_of_catalog(self, mountpoint: bytes, entries: int) -> str | None:
        """What is wrong with a catalog of that many entries."""
        limit, name = (self.nested_kilo_entries, "NESTED") if mountpoint else (self.root_kilo_entries, "ROOT")
        if not limit or entries <= limit * _THOUSAND:
            return None
        return (
            f"its catalog has {entries:,} entries, the limit is {limit * _THOUSAND:,} (CVMFS_{name}_KCATALOG_LIMIT); "
            "give directories in it catalogs of their own (.cvmfscatalog, .cvmfsdirtab)"
        )


class LimitCheck:
    """What exceeded a limit in one publication. For one thread."""

    def __init__(self, limits: Limits, faults: Faults) -> None:
        """Where limits are enforced, files that exceed them are added to `faults`."""
        self._limits = limits
        self._faults = faults
        self.warnings: list[tuple[bytes, str]] = []
        """Paths, and what is wrong with them."""

    def files(self, changes: Iterable[Change]) -> Iterator[Change]:
        """The changes, without files that are refused: before their contents are read."""
        for change in changes:
            excess = None
            if isinstance(change, Put) and change.entry.is_regular:
                excess = self._limits.excess_of_file(change.entry.size)
            if excess is not None and self._limits.enforced:
                self._faults.add(change.path, excess)
                continue
            if excess is not None:
                self.warnings.append((change.path, excess))
            yield change

    def catalogs(self, sizes: Iterable[tuple[bytes, int]]) -> None:
        """Look at catalogs that were written; PublishError naming all that are too large, where that is enforced."""
        found = [
            (mountpoint, excess)
            for mountpoint, entries in sizes
            if (excess := self._limits.excess_of_catalog(mountpoint, entries)) is not None
        ]
        if found and self._limits.enforced:
            lines = "".join(f"\n  {os.fsdecode(path) or '/'}: {excess}" for path, excess in found)
            raise PublishError(f"limits are exceeded; nothing was changed in the repository:{lines}")
        self.warnings += found
