"""Makes a catalog file: a new one, or a changed copy of an old one. Source: format.md 6.

The counters of the catalog itself are counted from its rows at the end; those of what is below it are the caller's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from swrepo.catalog import schema
from swrepo.catalog.counters import RECOUNT, Counters, Statistics
from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.rows import INSERT, STRUCTURE, UPDATE, as_dirent, insert_row, select_list, update_row
from swrepo.catalog.scratch import Scratch
from swrepo.errors import FormatError, PathNotFound
from swrepo.format.dirent import Chunk, Dirent, Flag
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.paths import NO_PARENT, ROOT, PathKey, basename, is_within, path_key

_PENDING = 4096
_GROUP_SHIFT = 32

_COLUMNS = select_list(schema.CATALOG_COLUMNS)
_BY_KEY = f"SELECT {_COLUMNS} FROM catalog WHERE md5path_1 = ? AND md5path_2 = ?"  # noqa: S608
_BY_PARENT = f"SELECT {_COLUMNS} FROM catalog WHERE parent_1 = ? AND parent_2 = ? ORDER BY rowid"  # noqa: S608
_RAW = f"SELECT NULL, {', '.join(schema.CATALOG_COLUMNS)} FROM catalog WHERE {{}} ORDER BY rowid"  # noqa: S608
_RAW_CHUNKS = "SELECT md5path_1, md5path_2, offset, size, hash FROM chunks WHERE {}"
_DOOMED = "(md5path_1, md5path_2) IN (SELECT first, second FROM doomed)"
_SIZES = "SELECT parent_1, parent_2, count(*) FROM catalog GROUP BY parent_1, parent_2"
_DIRECTORIES = f"""
SELECT md5path_1, md5path_2, parent_1, parent_2, CAST(name AS BLOB), flags & {STRUCTURE} FROM catalog WHERE flags & 1
"""  # noqa: S608
_INSERT_CHUNK = "INSERT INTO chunks (md5path_1, md5path_2, offset, size, hash) VALUES (?, ?, ?, ?, ?)"
_CHUNKS = "SELECT offset, size, hash FROM chunks WHERE md5path_1 = ? AND md5path_2 = ? ORDER BY offset"
_FLAG = "UPDATE catalog SET flags = flags & ? | ? WHERE md5path_1 = ? AND md5path_2 = ?"
_BELOW = """
CREATE TEMP TABLE doomed AS
WITH RECURSIVE below (first, second) AS (
    VALUES (?, ?) UNION
    SELECT md5path_1, md5path_2 FROM catalog JOIN below ON parent_1 = first AND parent_2 = second)
SELECT first, second FROM below
"""


class CatalogWriter:
    """A catalog in the making. For one thread at a time. Paths are those of the repository.

    Entries are kept as they are given, but for two things that follow from the rest: the name is that of the path, and
    the flags for mountpoints and roots of catalogs are set by the methods that make those. Whoever adds or removes
    directories states their link counts.

    FormatError where an entry or path cannot be in this catalog.
    """

    def __init__(self, file: Scratch, root_prefix: bytes) -> None:
        """Take over an empty file; use `create` or `edit`."""
        self._file = file
        self.root_prefix = root_prefix
        self.subtree = Counters()
        self._rows: list[tuple[Any, ...]] = []
        self._chunk_rows: list[tuple[Any, ...]] = []
        self._next_rowid = 1
        self._last_directory: tuple[bytes, PathKey] = (ROOT, path_key(ROOT))
        self._is_indexed = False
        self._highest_group: int | None = None

    @classmethod
    def create(cls, path: str | os.PathLike[str], root: Dirent, root_prefix: bytes = ROOT) -> Self:
        """A new catalog in a new file: that of the repository's root, or of a directory `root_prefix` in it."""
        writer = cls(Scratch(path, _what(root_prefix)), root_prefix)
        writer._lay_out()
        writer._add(root_prefix, root)
        if root_prefix:
            writer._set_flags(root_prefix, int(Flag.NESTED_ROOT))
        return writer

    @classmethod
    def edit(cls, source: CatalogFile, path: str | os.PathLike[str]) -> Self:
        """A copy of `source` in a new file, its entries with their row numbers, brought to the newest schema."""
        if source.mountpoint != source.root_prefix:
            raise FormatError(f"the catalog at {source.mountpoint!r} is planted there and cannot be edited")
        writer = cls(Scratch(path, _what(source.root_prefix)), source.root_prefix)
        if source.is_current:
            writer._copy_pages(source)
        else:
            writer._lay_out()
            writer._copy_rows(source)
        writer._next_rowid = source.max_rowid + 1
        writer.subtree = source.counters().subtree
        return writer

    # Reading what is there so far

    def lookup(self, path: bytes) -> Dirent | None:
        """The entry at `path`."""
        rows = self._fetch(_BY_KEY, path_key(path))
        return as_dirent(rows[0]) if rows else None

    def listing(self, path: bytes) -> list[Dirent]:
        """The entries of a directory, hidden ones too, in the order of their rows."""
        self._index()
        return list(map(as_dirent, self._fetch(_BY_PARENT, path_key(path))))

    def chunks(self, path: bytes) -> tuple[Chunk, ...]:
        """The chunks of a file."""
        return tuple(Chunk(*row) for row in self._fetch(_CHUNKS, path_key(path)))

    def nested(self) -> tuple[NestedRef, ...]:
        """The catalogs mounted below this one, in the order of their paths."""
        found = [
            NestedRef(path, ObjectId.parse(text.decode("ascii"), Kind.CATALOG), size or None, is_bind)
            for table, is_bind in (("nested_catalogs", False), ("bind_mountpoints", True))
            for path, text, size in self._fetch(f"SELECT path, sha1, size FROM {table}")  # noqa: S608
        ]
        return tuple(sorted(found, key=lambda ref: ref.path))

    @property
    def own(self) -> Counters:
        """The counters of this catalog itself: a pass over all rows."""
        return Counters(*self._fetch(RECOUNT)[0])

    @property
    def entries(self) -> int:
        """Number of rows."""
        return int(self._fetch("SELECT count(*) FROM catalog")[0][0])

    def directories(self) -> list[tuple[PathKey, PathKey, bytes, bool]]:
        """Every directory: its key, that of the one above, its name, whether another catalog begins there."""
        begins = STRUCTURE & ~int(Flag.NESTED_ROOT)
        return [((a, b), (c, d), name, bool(flags & begins)) for a, b, c, d, name, flags in self._fetch(_DIRECTORIES)]

    def sizes(self) -> dict[PathKey, int]:
        """How many entries each directory has in this catalog, those without any left out."""
        self._index()
        return {(first, second): count for first, second, count in self._fetch(_SIZES)}

    # Entries

    def add(self, path: bytes, entry: Dirent, chunks: Sequence[Chunk] = ()) -> None:
        """Add an entry that is not there. (That it is may only be found out by `finish`: FormatError.)"""
        if not (is_within(path, self.root_prefix) and path != self.root_prefix):
            raise FormatError(f"{path!r} is not below {self.root_prefix!r}, whose catalog this is")
        self._add(path, entry, chunks)

    def replace(self, path: bytes, entry: Dirent, chunks: Sequence[Chunk] = ()) -> None:
        """Change the entry at `path`, which keeps its row number; PathNotFound. A mountpoint stays one."""
        self._flush()
        key = path_key(path)
        changed = self._file.execute(UPDATE, update_row(key, basename(path), entry))
        self._file.execute("DELETE FROM chunks WHERE md5path_1 = ? AND md5path_2 = ?", key)
        if changed == 0:
            raise PathNotFound(f"{path!r} is not in the catalog of {self.root_prefix!r} and cannot be replaced")
        self._chunk_rows.extend((*key, *chunk) for chunk in chunks)

    def put(self, path: bytes, entry: Dirent, chunks: Sequence[Chunk] = ()) -> None:
        """Replace the entry at `path`, or add it where there is none."""
        if self.lookup(path) is None:
            self.add(path, entry, chunks)
        else:
            self.replace(path, entry, chunks)

    def remove(self, path: bytes) -> tuple[NestedRef, ...]:
        """Remove an entry with all that is below it in this catalog; PathNotFound.

        Returns the nested catalogs that went with it: nothing of this catalog names them any more.
        """
        if path == self.root_prefix:
            raise FormatError(f"the root directory {path!r} of a catalog cannot be removed from it")
        if self.lookup(path) is None:
            raise PathNotFound(f"{path!r} is not in the catalog of {self.root_prefix!r} and cannot be removed")
        gone = self._take_nested(path)
        self._doom(path)
        self._delete_doomed()
        return gone

    def move_below(self, directory: bytes, lower: CatalogWriter) -> None:
        """Move all that is below a directory to another catalog, as it is, with the catalogs mounted there."""
        gone = [ref for ref in self._take_nested(directory) if ref.path != directory]
        self._doom(directory)
        self._file.execute("DELETE FROM doomed WHERE first = ? AND second = ?", path_key(directory))
        lower.take(self._file.rows(_RAW.format(_DOOMED)), self._file.rows(_RAW_CHUNKS.format(_DOOMED)))
        self._delete_doomed()
        for ref in gone:
            lower.set_nested(ref)

    def take(self, rows: Iterable[tuple[Any, ...]], chunks: Iterable[tuple[Any, ...]]) -> None:
        """Add rows of another catalog, all columns as they are in the tables, and rows of its chunks."""
        self._flush()
        self._file.execute_many(INSERT, rows)
        self._file.execute_many(_INSERT_CHUNK, chunks)
        self._next_rowid = self._fetch("SELECT max(rowid) FROM catalog")[0][0] + 1

    def next_hardlink_group(self) -> int:
        """A number for a hard link group that this catalog has not used."""
        if self._highest_group is None:
            rows = self._fetch(f"SELECT max(hardlinks >> {_GROUP_SHIFT} & 4294967295) FROM catalog")  # noqa: S608
            self._highest_group = rows[0][0] or 0
        self._highest_group += 1
        return self._highest_group

    def change_rows(self, assignments: str, condition: str, parameters: tuple[Any, ...] = ()) -> int:
        """Change columns of every row that fits, in SQL of the caller's own; how many there were."""
        self._flush()
        return self._file.execute(f"UPDATE catalog SET {assignments} WHERE {condition}", parameters)  # noqa: S608

    def holds(self, condition: str) -> bool:
        """Whether a row fits, in SQL of the caller's own."""
        return bool(self._fetch(f"SELECT 1 FROM catalog WHERE {condition} LIMIT 1"))  # noqa: S608

    # Nested catalogs

    def set_nested(self, ref: NestedRef) -> None:
        """Mount a catalog at a directory of this one, or another in its place; PathNotFound without that directory."""
        table = "bind_mountpoints" if ref.is_bind else "nested_catalogs"
        flag = Flag.BIND_MOUNTPOINT if ref.is_bind else Flag.NESTED_MOUNTPOINT
        self._set_flags(ref.path, int(flag))
        self._file.execute(
            f"INSERT INTO {table} (path, sha1, size) VALUES (CAST(? AS TEXT), ?, ?) "  # noqa: S608
            "ON CONFLICT (path) DO UPDATE SET sha1 = excluded.sha1, size = excluded.size",
            (ref.path, ref.id.text, ref.size or 0),
        )

    def remove_nested(self, path: bytes) -> NestedRef:
        """Unmount the catalog at `path`, whose entry stays as an empty directory; PathNotFound."""
        for ref in self.nested():
            if ref.path == path:
                self._drop_nested(ref)
                self._set_flags(path, 0)
                return ref
        raise PathNotFound(f"no catalog is mounted at {path!r} in that of {self.root_prefix!r}")

    # The end

    def set_property(self, name: str, value: str | bytes) -> None:
        """Set a property (`schema.KEY_...`)."""
        self._file.set_property(name, value)

    def finish(self, properties: Mapping[str, str], own: Counters | None = None) -> int:
        """Set the properties, write the counters, close the file; its size in bytes. Nothing may be called after it.

        `own`: the counters of this catalog, where they were asked for after its last change.
        """
        for name, value in properties.items():
            self._file.set_property(name, value)
        self._index()
        statistics = Statistics(self.own if own is None else own, self.subtree)
        self._file.execute_many("INSERT OR REPLACE INTO statistics VALUES (?, ?)", statistics.rows())
        return self._file.finish()

    def discard(self) -> None:
        """Give up: close and remove the file."""
        self._file.discard()

    def _lay_out(self) -> None:
        self._file.execute("BEGIN")
        for table in schema.TABLES:
            self._file.execute(table)
        self.set_property(schema.KEY_SCHEMA, schema.SCHEMA)
        self.set_property(schema.KEY_SCHEMA_REVISION, str(schema.SCHEMA_REVISION))
        if self.root_prefix:
            self.set_property(schema.KEY_ROOT_PREFIX, self.root_prefix)

    def _copy_pages(self, source: CatalogFile) -> None:
        self._file.fill(source.copy_to)
        self._file.execute("BEGIN")
        self._is_indexed = True

    def _copy_rows(self, source: CatalogFile) -> None:
        rows = (insert_row(entry.rowid, own, above, entry.name, entry) for entry, own, above in source.entries())
        self._file.execute_many(INSERT, rows)
        self._file.execute_many(_INSERT_CHUNK, ((*key, *chunk) for key, chunk in source.all_chunks()))
        for name, value in source.properties.items():
            if name not in (schema.KEY_SCHEMA, schema.KEY_SCHEMA_REVISION, schema.KEY_ROOT_PREFIX):
                self.set_property(name, value.encode("utf-8", "surrogateescape"))
        for ref in source.nested():
            self.set_nested(ref)
        if self.root_prefix:
            self._set_flags(self.root_prefix, int(Flag.NESTED_ROOT))

    def _add(self, path: bytes, entry: Dirent, chunks: Sequence[Chunk] = ()) -> None:
        directory, _, name = path.rpartition(b"/")
        above = self._key_of_directory(directory) if path else NO_PARENT
        own = path_key(path)
        self._rows.append(insert_row(self._next_rowid, own, above, name, entry))
        self._chunk_rows.extend((*own, *chunk) for chunk in chunks)
        self._next_rowid += 1
        if len(self._rows) >= _PENDING:
            self._flush()

    def _key_of_directory(self, directory: bytes) -> PathKey:
        if self._last_directory[0] != directory:
            self._last_directory = (directory, path_key(directory))
        return self._last_directory[1]

    def _set_flags(self, path: bytes, structure: int) -> None:
        self._flush()
        entry = self.lookup(path)
        if entry is None or not entry.is_directory:
            raise PathNotFound(f"{path!r} is no directory of the catalog of {self.root_prefix!r}")
        self._file.execute(_FLAG, (~STRUCTURE, structure, *path_key(path)))

    def _take_nested(self, path: bytes) -> tuple[NestedRef, ...]:
        gone = tuple(ref for ref in self.nested() if is_within(ref.path, path))
        for ref in gone:
            self._drop_nested(ref)
        return gone

    def _doom(self, path: bytes) -> None:
        """Name the path and all that is below it in the table `doomed`."""
        self._index()
        self._file.execute(_BELOW, path_key(path))

    def _delete_doomed(self) -> None:
        for table in ("chunks", "catalog"):
            self._file.execute(f"DELETE FROM {table} WHERE {_DOOMED}")  # noqa: S608
        self._file.execute("DROP TABLE doomed")

    def _drop_nested(self, ref: NestedRef) -> None:
        table = "bind_mountpoints" if ref.is_bind else "nested_catalogs"
        self._file.execute(f"DELETE FROM {table} WHERE path = CAST(? AS TEXT)", (ref.path,))  # noqa: S608

    def _index(self) -> None:
        """Make the index on parents: late, because filling a table without it is faster."""
        self._flush()
        if not self._is_indexed:
            self._file.execute(schema.PARENT_INDEX)
            self._is_indexed = True

    def _fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        self._flush()
        return self._file.fetch(sql, parameters)

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        chunk_rows, self._chunk_rows = self._chunk_rows, []
        if rows:
            self._file.execute_many(INSERT, rows)
        if chunk_rows:
            self._file.execute_many(_INSERT_CHUNK, chunk_rows)


def _what(root_prefix: bytes) -> str:
    return f"the catalog of {(root_prefix or b'/').decode('utf-8', 'backslashreplace')}"
