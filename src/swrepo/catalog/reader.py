"""Reads one catalog file: entries by path, listings, chunks, what is nested below. Source: format.md 6.

Paths that go in and come out are those of the whole repository. A catalog that was planted elsewhere (bind mountpoint)
knows its entries by other paths; `local` and `planted` translate, and nobody outside this module needs to know.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Self

from swrepo.catalog import schema
from swrepo.catalog.counters import RECOUNT, Counters, Statistics
from swrepo.catalog.database import Database
from swrepo.catalog.directories import Directories
from swrepo.catalog.nested import NestedRef, read_nested
from swrepo.catalog.properties import catalog_id, check_version, number, read_properties
from swrepo.catalog.rows import OWN_KEY, PARENT_KEY, as_dirent, check_names, named, select_list
from swrepo.catalog.warm import Warm
from swrepo.errors import FormatError
from swrepo.format.dirent import Chunk, Dirent, Flag
from swrepo.format.object_id import DIGEST_SIZE, Kind, ObjectId
from swrepo.format.paths import ROOT, PathKey, is_within, path_key

_GROUP_SHIFT = 32
_GROUP_MASK = 0xFFFFFFFF


class CatalogFile:
    """An open catalog. Every method may be called from any thread (one lock per catalog, in `Database`).

    All methods raise FormatError where the file turns out not to be a catalog.
    """

    def __init__(self, database: Database, mountpoint: bytes) -> None:
        """Take over an open database; use `open`."""
        self._database = database
        self.mountpoint = mountpoint
        self.properties: Mapping[str, str] = read_properties(database)
        check_version(self.properties, f"the catalog of {_shown(mountpoint)}")
        self.root_prefix = self.properties.get(schema.KEY_ROOT_PREFIX, "").encode("utf-8", "surrogateescape")
        self._is_planted = self.root_prefix != mountpoint
        self._has_chunks = bool(database.columns("chunks"))
        columns = select_list(database.columns("catalog"))
        self._by_key = f"SELECT {columns} FROM catalog WHERE md5path_1 = ? AND md5path_2 = ?"  # noqa: S608
        self._by_rowid = f"SELECT {columns}, {OWN_KEY}, {PARENT_KEY} FROM catalog WHERE rowid = ?"  # noqa: S608
        self._after_rowid = (
            f"SELECT {columns}, {OWN_KEY}, {PARENT_KEY} FROM catalog WHERE rowid > ? ORDER BY rowid LIMIT ?"  # noqa: S608
        )
        self._by_parent = (
            f"SELECT {columns} FROM catalog WHERE parent_1 = ? AND parent_2 = ? AND rowid > ? "  # noqa: S608
            "AND ifnull(flags, 0) & ? = 0 ORDER BY rowid LIMIT ?"
        )
        self._keyed_by_parent = (
            f"SELECT {columns}, {OWN_KEY} FROM catalog WHERE parent_1 = ? AND parent_2 = ? AND rowid > ? "  # noqa: S608
            "ORDER BY rowid LIMIT ?"
        )
        self._nested: tuple[NestedRef, ...] | None = None
        self._leaders: dict[int, int] | None = None
        self._max_rowid: int | None = None
        self._directories: Directories | None = None

    @classmethod
    def open(cls, file: int | str | os.PathLike[str], mountpoint: bytes = ROOT) -> Self:
        """Open the catalog in a file, mounted at `mountpoint`; a descriptor stays the caller's."""
        database = Database.open(file, f"the catalog of {_shown(mountpoint)}")
        try:
            return cls(database, mountpoint)
        except BaseException:
            database.close()
            raise

    def keep_warm(self, warm: Warm) -> None:
        """Have `warm` decide when the file is open and when only its descriptor is."""
        warm.add(self._database)

    def remember_in(self, directories: Directories) -> None:
        """Look names up in there first."""
        self._directories = directories

    def park(self) -> None:
        """Let go of the memory that the open file takes, until the next question."""
        self._database.park()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    # Entries

    def lookup(self, path: bytes) -> Dirent | None:
        """The entry at `path`, hidden ones too; None where this catalog has none."""
        if path == self.mountpoint:
            row = self._database.one(self._by_key, path_key(self.local(path)))
            return None if row is None else named(as_dirent(row), path)
        if self._directories is not None:
            directory, _, name = path.rpartition(b"/")
            entries = self._directories.entries(directory, self)
            if entries is not None:
                return entries.get(name)
        row = self._database.one(self._by_key, path_key(self.local(path)))
        return None if row is None else as_dirent(row)

    def lookup_key(self, key: PathKey) -> Dirent | None:
        """The entry with that (local) key."""
        row = self._database.one(self._by_key, key)
        return None if row is None else as_dirent(row)

    def by_rowid(self, rowid: int) -> tuple[Dirent, PathKey, PathKey] | None:
        """The entry of a row, with its own (local) key and its directory's."""
        row = self._database.one(self._by_rowid, (rowid,))
        return None if row is None else (as_dirent(row[:-4]), (row[-4], row[-3]), (row[-2], row[-1]))

    def rows_from(self, rowid: int, count: int) -> list[Dirent]:
        """The entries of up to `count` rows, from that one on."""
        return [as_dirent(row[:-4]) for row in self._database.rows(self._after_rowid, (rowid - 1, count))]

    def listing(
        self, path: bytes, after_rowid: int = 0, limit: int | None = None, *, hidden: bool = False
    ) -> list[Dirent]:
        """Entries of a directory in the order of their rows: those after a row, at most `limit`, also `hidden` ones.

        Empty for anything that is not a directory of this catalog.
        """
        key = path_key(self.local(path))
        left_out = 0 if hidden else int(Flag.HIDDEN)
        rows = self._database.rows(
            self._by_parent, (*key, after_rowid, left_out, _NO_LIMIT if limit is None else limit)
        )
        entries = list(map(as_dirent, rows))
        check_names(entries)
        return entries

    def keyed_listing(self, path: bytes, after_rowid: int, limit: int) -> list[tuple[Dirent, PathKey]]:
        """Like `listing`, hidden entries too and names unchecked, each entry with the (local) key that its row has."""
        rows = self._database.rows(self._keyed_by_parent, (*path_key(self.local(path)), after_rowid, limit))
        return [(as_dirent(row[:-2]), (row[-2], row[-1])) for row in rows]

    def size(self, path: bytes, at_most: int) -> int:
        """The number of entries of a directory, hidden ones too, counted up to `at_most`."""
        row = self._database.one(_SIZE, (*path_key(self.local(path)), at_most))
        return row[0] if row is not None else 0

    def chunks(self, where: bytes | PathKey) -> tuple[Chunk, ...]:
        """The chunks of a file, given by path or (local) key, in the order of their offsets."""
        if not self._has_chunks:
            return ()
        key = path_key(self.local(where)) if isinstance(where, bytes) else where
        found = tuple(Chunk(*row) for row in self._database.rows(_CHUNKS, key))
        if any(len(chunk.digest) != DIGEST_SIZE or chunk.offset < 0 or chunk.size < 0 for chunk in found):
            message = f"the catalog of {_shown(self.mountpoint)} has a chunk with no name or no sensible place"
            raise FormatError(message)
        return found

    # The catalog as a whole

    def entries(self) -> Iterator[tuple[Dirent, PathKey, PathKey]]:
        """Every entry, hidden ones too, in the order of the rows, with its own (local) key and its directory's."""
        after = -(1 << 63)
        while rows := self._database.rows(self._after_rowid, (after, _BATCH)):
            for row in rows:
                yield as_dirent(row[:-4]), (row[-4], row[-3]), (row[-2], row[-1])
            after = rows[-1][-5]

    def all_chunks(self) -> Iterator[tuple[PathKey, Chunk]]:
        """The chunks of every file, with the (local) key of the file."""
        after = -(1 << 63)
        while self._has_chunks and (rows := self._database.rows(_ALL_CHUNKS, (after, _BATCH))):
            for _, first, second, *chunk in rows:
                yield (first, second), Chunk(*chunk)
            after = rows[-1][0]

    def contents(self) -> Iterator[tuple[bytes, int, Kind]]:
        """The objects of all files: digest, flags of the file, FILE or PARTIAL; not those of external files.

        An object comes once for each file that has it.
        """
        return ((digest, flags, kind) for digest, flags, kind, _ in self.sized_contents())

    def sized_contents(self) -> Iterator[tuple[bytes, int, Kind, int]]:
        """The same with the number of plain bytes that each is said to have."""
        tables = [(Kind.FILE, _CONTENTS)] if self._has("catalog", "hash") else []
        if self._has_chunks:
            tables.append((Kind.PARTIAL, _CHUNK_CONTENTS))
        for kind, sql in tables:
            after = -(1 << 63)
            while rows := self._database.rows(sql, (after, _BATCH)):
                for _, digest, flags, size in rows:
                    if len(digest) != DIGEST_SIZE:
                        raise FormatError(f"the catalog of {_shown(self.mountpoint)} has content with no sound name")
                    yield digest, flags, kind, size
                after = rows[-1][0]

    def nested(self) -> tuple[NestedRef, ...]:
        """The catalogs mounted directly below this one, in the order of their paths."""
        if self._nested is None:
            found = (replace(ref, path=self._mount_path(ref.path)) for ref in read_nested(self._database))
            self._nested = tuple(sorted(found, key=lambda ref: ref.path))
        return self._nested

    @property
    def max_rowid(self) -> int:
        """The highest row number; 0 for an empty catalog."""
        if self._max_rowid is None:
            row = self._database.one("SELECT ifnull(max(rowid) | 0, 0) FROM catalog")
            self._max_rowid = max(0, row[0]) if row else 0
        return self._max_rowid

    def hardlink_leader(self, group: int) -> int:
        """Row number of the first member of a hard link group of this catalog; 0 where there is no such group."""
        if self._leaders is None:
            rows = self._database.rows(_LEADERS) if self._has("catalog", "hardlinks") else []
            self._leaders = {value & _GROUP_MASK: rowid for value, rowid in rows}
        return self._leaders.get(group, 0)

    def counters(self) -> Statistics:
        """The statistics table as it is stored; zeros where an old catalog has none."""
        if not self._has("statistics", "counter"):
            return Statistics()
        rows = self._database.rows("SELECT CAST(counter AS BLOB), ifnull(value | 0, 0) FROM statistics")
        return Statistics.from_rows({(name or b"").decode("utf-8", "replace"): value for name, value in rows})

    def recount(self) -> Counters | None:
        """The catalog's own counters, counted anew; None for an old schema, which has fewer of them."""
        if not (self._has("catalog", "xattr") and self._has_chunks and self._has("bind_mountpoints", "path")):
            return None
        row = self._database.one(RECOUNT)
        return None if row is None else Counters(*(int(value or 0) for value in row))

    @property
    def revision(self) -> int:
        """How often this catalog was rewritten; of a root catalog: the repository's revision."""
        return number(self.properties, schema.KEY_REVISION)

    @property
    def last_modified(self) -> int:
        """Unix time of its making."""
        return number(self.properties, schema.KEY_LAST_MODIFIED)

    @property
    def previous_revision(self) -> ObjectId | None:
        """The catalog that this one replaced."""
        return catalog_id(self.properties, schema.KEY_PREVIOUS_REVISION)

    @property
    def is_current(self) -> bool:
        """Whether it has exactly the tables of the newest schema, as they are written today."""
        rows = self._database.rows("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        version = (self.properties.get(schema.KEY_SCHEMA), self.properties.get(schema.KEY_SCHEMA_REVISION))
        tables = {sql.encode() for sql in (*schema.TABLES, schema.PARENT_INDEX)}
        return {row[0] for row in rows} == tables and version == (schema.SCHEMA, str(schema.SCHEMA_REVISION))

    def copy_to(self, target: sqlite3.Connection) -> None:
        """Copy the whole database, page by page, into an empty one. Raises what sqlite3 raises for the target."""
        self._database.copy_to(target)

    # Paths

    def local(self, path: bytes) -> bytes:
        """The path under which the catalog itself keeps the entry at `path` of the repository."""
        return self.root_prefix + path[len(self.mountpoint) :] if self._is_planted else path

    def planted(self, local: bytes) -> bytes:
        """The path in the repository of what the catalog itself calls `local`."""
        if not is_within(local, self.root_prefix):
            message = f"the catalog of {_shown(self.mountpoint)} mounts {local!r}, which is not below it"
            raise FormatError(message)
        return self.mountpoint + local[len(self.root_prefix) :]

    def _mount_path(self, local: bytes) -> bytes:
        path = self.planted(local)
        parts = path.split(b"/")[1:]
        if path == self.mountpoint or b"\0" in path or any(part in (b"", b".", b"..") for part in parts):
            message = f"the catalog of {_shown(self.mountpoint)} mounts {local!r}, which is no directory below it"
            raise FormatError(message)
        return path

    def _has(self, table: str, column: str) -> bool:
        return column in self._database.columns(table)


_NO_LIMIT = -1
_SIZE = "SELECT count(*) FROM (SELECT 1 FROM catalog WHERE parent_1 = ? AND parent_2 = ? LIMIT ?)"
_BATCH = 1000
_CHUNK = "ifnull(offset | 0, 0), ifnull(size | 0, 0), CAST(ifnull(hash, x'') AS BLOB)"
_CHUNKS = f"SELECT {_CHUNK} FROM chunks WHERE md5path_1 = ? AND md5path_2 = ? ORDER BY 1"  # noqa: S608
_ALL_CHUNKS = f"SELECT rowid | 0, {OWN_KEY}, {_CHUNK} FROM chunks WHERE rowid > ? ORDER BY rowid LIMIT ?"  # noqa: S608
# 128: external files, which are kept elsewhere.
_CONTENTS = (
    "SELECT rowid | 0, CAST(hash AS BLOB), ifnull(flags | 0, 0), ifnull(size | 0, 0) FROM catalog "
    "WHERE rowid > ? AND length(hash) > 0 AND ifnull(flags, 0) & 128 = 0 ORDER BY rowid LIMIT ?"
)
_CHUNK_CONTENTS = (
    "SELECT c.rowid | 0, CAST(ifnull(c.hash, x'') AS BLOB), ifnull(f.flags | 0, 0), "
    "ifnull(c.size | 0, 0) FROM chunks c "
    "LEFT JOIN catalog f ON f.md5path_1 = c.md5path_1 AND f.md5path_2 = c.md5path_2 "
    "WHERE c.rowid > ? AND ifnull(f.flags, 0) & 128 = 0 ORDER BY c.rowid LIMIT ?"
)
_LEADERS = (
    f"SELECT hardlinks >> {_GROUP_SHIFT}, min(rowid) | 0 FROM catalog "  # noqa: S608
    f"WHERE hardlinks >> {_GROUP_SHIFT} <> 0 GROUP BY 1"
)


def _shown(mountpoint: bytes) -> str:
    return (mountpoint or b"/").decode("utf-8", "backslashreplace")
