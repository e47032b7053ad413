"""The catalogs mounted in another one: its tables nested_catalogs and bind_mountpoints. Source: format.md 6."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from swrepo.catalog.database import Database
from swrepo.format.object_id import Kind, ObjectId


@dataclass(frozen=True, slots=True)
class NestedRef:
    """Another catalog, mounted below this one: `path` in the repository, plain `size` where it is known."""

    path: bytes
    id: ObjectId
    size: int | None
    is_bind: bool = False


def read_nested(database: Database) -> Iterator[NestedRef]:
    """Those of a catalog, with the paths that it knows them by (`CatalogFile.planted` translates)."""
    for table, is_bind in (("nested_catalogs", False), ("bind_mountpoints", True)):
        columns = database.columns(table)
        if not columns:
            continue
        size = "ifnull(size | 0, 0)" if "size" in columns else "0"
        for path, text, plain_size in database.rows(
            f"SELECT CAST(ifnull(path, '') AS BLOB), CAST(ifnull(sha1, '') AS BLOB), {size} FROM {table}"  # noqa: S608
        ):
            object_id = ObjectId.parse(text.decode("ascii", "replace"), Kind.CATALOG)
            yield NestedRef(path, object_id, max(0, plain_size) or None, is_bind)
