"""A row of the catalog table <-> a `Dirent`.

Any program could have made the catalog, and SQLite keeps any type in any column. So each column is read through an
expression that yields what `Dirent` promises whatever is stored: integers within the range of `struct stat`, bytes for
names. That costs a tenth of a listing's time; checking each value in Python would double it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any, Final

from swrepo.catalog.schema import CATALOG_COLUMNS, OPTIONAL_COLUMNS
from swrepo.errors import FormatError
from swrepo.format.dirent import Dirent, Flag
from swrepo.format.paths import PathKey, basename

# (column, expression, value where an old schema has no such column), in the order of Dirent's fields.
_EXPRESSIONS: Final = (
    ("name", "CAST(ifnull(name, x'') AS BLOB)", "x''"),
    ("mode", "ifnull(mode, 0) & 65535", "0"),
    ("size", "ifnull((size | 0) * (size > 0), 0)", "0"),
    ("mtime", "ifnull(mtime | 0, 0)", "0"),
    ("mtimens", "CASE WHEN mtimens BETWEEN 0 AND 999999999 THEN mtimens | 0 END", "NULL"),
    ("uid", "ifnull(uid, 0) & 4294967295", "0"),
    ("gid", "ifnull(gid, 0) & 4294967295", "0"),
    ("flags", "ifnull(flags | 0, 0)", "0"),
    ("hardlinks", "ifnull(hardlinks | 0, 1)", "1"),
    ("symlink", "CAST(ifnull(symlink, x'') AS BLOB)", "x''"),
    ("hash", "CASE WHEN hash <> x'' THEN CAST(hash AS BLOB) END", "NULL"),
    ("xattr", "CASE WHEN xattr <> x'' THEN CAST(xattr AS BLOB) END", "NULL"),
)
OWN_KEY: Final = "ifnull(md5path_1 | 0, 0), ifnull(md5path_2 | 0, 0)"
PARENT_KEY: Final = "ifnull(parent_1 | 0, 0), ifnull(parent_2 | 0, 0)"

# `partial` of a C function: Dirent._make is Python code and would take longer than fetching the row.
as_dirent: Callable[[Iterable[Any]], Dirent] = partial(tuple.__new__, Dirent)
"""A fetched row, in the order of `select_list`, as a Dirent."""


def select_list(present: Collection[str]) -> str:
    """What to SELECT for `as_dirent` from a table that has the columns `present`."""
    missing = set(CATALOG_COLUMNS) - OPTIONAL_COLUMNS - set(present)
    if missing:
        message = f"the table `catalog` has no column {', '.join(sorted(missing))}"
        raise FormatError(message)
    chosen = [expression if column in present else default for column, expression, default in _EXPRESSIONS]
    return ", ".join([*chosen, "rowid | 0"])


def check_names(entries: list[Dirent]) -> None:
    """FormatError unless the names of a listing are distinct and can be names of files."""
    names = {entry[0] for entry in entries}
    joined = b"\0".join(names)
    sound = (
        len(names) == len(entries)
        and joined.count(b"\0") == len(names) - bool(names)
        and b"/" not in joined
        and names.isdisjoint((b"", b".", b".."))
    )
    if not sound:
        message = "a directory has entries with the same name, or with one that no file can have"
        raise FormatError(message)


STRUCTURE: Final = int(Flag.NESTED_MOUNTPOINT | Flag.NESTED_ROOT | Flag.BIND_MOUNTPOINT)
"""Flags that tell where catalogs begin and end: they follow from the tables, not from an entry."""

# Names go in as bytes: the text of a catalog need not be UTF-8, and CAST(? AS TEXT) keeps it as it is.
INSERT: Final = (
    f"INSERT INTO catalog (rowid, {', '.join(CATALOG_COLUMNS)}) VALUES "  # noqa: S608 - constants
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?)"
)
UPDATE: Final = (
    "UPDATE catalog SET hardlinks = ?, hash = ?, size = ?, mode = ?, mtime = ?, mtimens = ?, flags = ? | (flags & ?), "
    "name = CAST(? AS TEXT), symlink = CAST(? AS TEXT), uid = ?, gid = ?, xattr = ? "
    "WHERE md5path_1 = ? AND md5path_2 = ?"
)


def insert_row(rowid: int, own: PathKey, above: PathKey, name: bytes, entry: Dirent) -> tuple[Any, ...]:
    """Parameters of INSERT."""
    return (rowid, *own, *above, *_stored(name, entry))


def update_row(own: PathKey, name: bytes, entry: Dirent) -> tuple[Any, ...]:
    """Parameters of UPDATE: a directory stays what it is in the tree of catalogs."""
    stored = _stored(name, entry)
    kept = STRUCTURE if entry.is_directory else 0
    return (*stored[:7], kept, *stored[7:], *own)


def _stored(name: bytes, entry: Dirent) -> tuple[Any, ...]:
    """The columns from `hardlinks` on, in the order of the table."""
    _, mode, size, mtime, mtime_ns, uid, gid, flags, hardlinks, symlink, digest, xattr_blob, _ = entry
    flags = int(flags) & ~STRUCTURE
    return hardlinks, digest, size, mode, mtime, mtime_ns, flags, name, symlink, uid, gid, xattr_blob


def named(entry: Dirent, path: bytes) -> Dirent:
    """The entry with the name that it has at `path`: the root of a planted catalog does not know it."""
    name = basename(path)
    return entry if entry.name == name else entry._replace(name=name)
