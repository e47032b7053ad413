"""The twelve counters that every catalog keeps of itself and of everything below it.

`self_` counts the rows of one catalog, its own root directory with them; `subtree_` sums all catalogs below it and
leaves it out. A nested catalog's mountpoint is a row of both and so counted in both. Source: format.md 6, "statistics".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from swrepo.format.dirent import Dirent


@dataclass(frozen=True, slots=True)
class Counters:
    """What a catalog or a subtree holds. `chunked` and `external` files are also `regular`; sizes are plain bytes."""

    regular: int = 0
    symlink: int = 0
    special: int = 0
    dir: int = 0
    nested: int = 0
    chunked: int = 0
    chunks: int = 0
    file_size: int = 0
    chunked_size: int = 0
    xattr: int = 0
    external: int = 0
    external_file_size: int = 0

    @classmethod
    def of_entry(cls, entry: Dirent, chunks: int = 0) -> Counters:
        """What one row, with that many chunks, adds."""
        xattr = int(bool(entry.xattr_blob))
        if entry.is_directory:
            return cls(dir=1, xattr=xattr)
        if entry.is_symlink:
            return cls(symlink=1, xattr=xattr)
        if entry.is_special:
            return cls(special=1, xattr=xattr)
        chunked, external = int(entry.is_chunked), int(entry.is_external)
        return cls(
            regular=1,
            chunked=chunked,
            chunks=chunks,
            file_size=entry.size,
            chunked_size=entry.size * chunked,
            xattr=xattr,
            external=external,
            external_file_size=entry.size * external,
        )

    @classmethod
    def from_rows(cls, rows: Mapping[str, int], prefix: str) -> Counters:
        """Read the counters called `prefix` + name; those that an older catalog does not have are 0."""
        return cls(**{name: rows.get(prefix + name, 0) for name in NAMES})

    def rows(self, prefix: str) -> list[tuple[str, int]]:
        """(counter, value) in alphabetical order, as the original writes them."""
        return [(prefix + name, getattr(self, name)) for name in sorted(NAMES)]

    @property
    def entries(self) -> int:
        """Number of rows that these counters stand for."""
        return self.regular + self.symlink + self.special + self.dir

    def __add__(self, other: Counters) -> Counters:
        return Counters(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    def __sub__(self, other: Counters) -> Counters:
        return Counters(*(getattr(self, name) - getattr(other, name) for name in NAMES))


NAMES: tuple[str, ...] = tuple(field.name for field in fields(Counters))
"""The counters in the order of the fields."""

SELF = "self_"
SUBTREE = "subtree_"


RECOUNT = """
SELECT count(*) FILTER (WHERE kind = 4), count(*) FILTER (WHERE kind = 2), count(*) FILTER (WHERE kind = 3),
       count(*) FILTER (WHERE kind = 1), (SELECT count(*) FROM nested_catalogs),
       count(*) FILTER (WHERE kind = 4 AND flags & 64), (SELECT count(*) FROM chunks),
       ifnull(sum(size) FILTER (WHERE kind = 4), 0), ifnull(sum(size) FILTER (WHERE kind = 4 AND flags & 64), 0),
       count(*) FILTER (WHERE xattr <> x''), count(*) FILTER (WHERE kind = 4 AND flags & 128),
       ifnull(sum(size) FILTER (WHERE kind = 4 AND flags & 128), 0)
FROM (SELECT CASE WHEN flags & 1 THEN 1 WHEN flags & 8 THEN 2 WHEN flags & 16 OR (mode & 61440) <> 32768 THEN 3
             ELSE 4 END AS kind, flags, size, xattr FROM catalog LIMIT -1)
"""
"""Counts a catalog's own rows, the columns in the order of `Counters`: `Counters.of_entry` in SQL.

The limit that limits nothing has SQLite find each row's kind once, and not in each column that counts it.
"""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Both sets of a catalog."""

    own: Counters = Counters()
    subtree: Counters = Counters()

    @classmethod
    def from_rows(cls, rows: Mapping[str, int]) -> Statistics:
        """Read the statistics table."""
        return cls(Counters.from_rows(rows, SELF), Counters.from_rows(rows, SUBTREE))

    @property
    def total(self) -> Counters:
        """The catalog and everything below it; of the root catalog: the repository."""
        return self.own + self.subtree

    def rows(self) -> list[tuple[str, int]]:
        """The statistics table."""
        return self.own.rows(SELF) + self.subtree.rows(SUBTREE)
