"""Catalogs as older publishers made them: schema 2.0 to 2.5, revisions 0 to 7. Source: format.md 6."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from swrepo.catalog import schema
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.format.paths import path_key
from tests.trees import MTIME

SOME_ID = ObjectId(Algorithm.SHA1, bytes(range(20)), Kind.CATALOG)

REVISION_COLUMNS = {"xattr": 2, "mtimens": 7}


def old_catalog(path: Path, version: str, revision: int, *, altered: bool) -> None:
    """A catalog as an older publisher made it; `altered`: columns that came later stand last, as ALTER TABLE puts them."""
    columns = [column for column in schema.CATALOG_COLUMNS if REVISION_COLUMNS.get(column, 0) <= revision]
    if version == "2.0":
        columns = ["inode" if column == "hardlinks" else column for column in columns if column not in ("uid", "gid")]
    if altered:
        columns.sort(key=lambda column: REVISION_COLUMNS.get(column, 0))
    values = {
        "md5path_1": path_key(b"/f")[0],
        "md5path_2": path_key(b"/f")[1],
        "parent_1": path_key(b"")[0],
        "parent_2": path_key(b"")[1],
        "hardlinks": 1,
        "inode": 77,
        "hash": b"h" * 20,
        "size": 10,
        "mode": 0o100644,
        "mtime": MTIME,
        "mtimens": 5,
        "flags": 4,
        "name": "f",
        "symlink": "",
        "uid": 3,
        "gid": 4,
        "xattr": b"\x01\x01\x01\x01ab",
    }
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE catalog ({', '.join(columns)}, PRIMARY KEY (md5path_1, md5path_2))")
    connection.execute(schema.PARENT_INDEX)
    connection.execute(
        f"INSERT INTO catalog ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
        [values[column] for column in columns],
    )
    connection.execute(schema.PROPERTIES_TABLE)
    connection.execute("INSERT INTO properties VALUES ('schema', ?)", (version,))
    if revision:
        connection.execute("INSERT INTO properties VALUES ('schema_revision', ?)", (revision,))
    size = ", size INTEGER" if revision >= 1 else ""
    connection.execute(f"CREATE TABLE nested_catalogs (path TEXT, sha1 TEXT{size})")
    connection.execute("INSERT INTO nested_catalogs (path, sha1) VALUES ('/n', ?)", (SOME_ID.text,))
    if version >= "2.4":
        connection.execute(schema.CHUNKS_TABLE)
        connection.execute("CREATE TABLE statistics (counter TEXT, value INTEGER)")
        connection.executemany("INSERT INTO statistics VALUES (?, ?)", [("self_regular", 1), ("subtree_dir", 8)])
    connection.commit()
    connection.close()
