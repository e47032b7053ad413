"""Sets of object names on disk: as large as a repository, in a few megabytes of memory."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Self

from swrepo.catalog.scratch import Scratch
from swrepo.format.object_id import DIGEST_SIZE, Algorithm, Kind, ObjectId

_PENDING = 100_000
"""Names that wait in memory: they are sorted before they go to the disk, where they then lie side by side."""

_NUMBERS = {algorithm: bytes((algorithm,)) for algorithm in Algorithm}
_LETTERS = {kind: kind.encode() for kind in Kind}


class ObjectTables:
    """A file with the sets of one collection: names of objects in use, of condemned ones, and of catalogs to remove.

    For one thread. The file is gone at the end of the `with` block.
    """

    def __init__(self, path: Path) -> None:
        """`path`: a file that does not exist yet."""
        self.file = Scratch(path, "the list of objects")
        self.file.execute("BEGIN")
        self.live = ObjectSet(self.file, "live")
        self.condemned = ObjectSet(self.file, "condemned")
        self.file.execute("CREATE TABLE sequence (position INTEGER PRIMARY KEY, name BLOB)")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.discard()

    def append(self, object_id: ObjectId) -> None:
        """Put a name at the end of the sequence."""
        self.file.execute("INSERT INTO sequence (name) VALUES (?)", (_key(object_id),))

    def sequence(self) -> Generator[ObjectId]:
        """The names that were appended, in that order. To be closed before the tables are."""
        for (key,) in self.file.rows("SELECT name FROM sequence ORDER BY position"):
            yield _object_id(key)

    def doomed(self) -> Generator[ObjectId]:
        """The condemned objects that are not in use. Nothing else may be done with the tables until it is closed."""
        self.live.flush()
        self.condemned.flush()
        for (key,) in self.file.rows(
            "SELECT name FROM condemned WHERE NOT EXISTS (SELECT 1 FROM live WHERE live.name = condemned.name)"
        ):
            yield _object_id(key)


class ObjectSet:
    """One table of names."""

    def __init__(self, file: Scratch, table: str) -> None:
        self._file = file
        self._insert = f"INSERT OR IGNORE INTO {table} VALUES (?)"  # noqa: S608
        self._find = f"SELECT 1 FROM {table} WHERE name = ?"  # noqa: S608
        self._pending: set[bytes] = set()
        file.execute(f"CREATE TABLE {table} (name BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, object_id: ObjectId) -> None:
        """Add a name."""
        self._add(_key(object_id))

    def add_content(self, digest: bytes, flags: int, kind: Kind) -> None:
        """Add the name of a file's content, in the form of `CatalogFile.contents`."""
        self._add(digest + _NUMBERS[Algorithm((flags >> 8 & 7) + 1)] + _LETTERS[kind])

    def __contains__(self, object_id: ObjectId) -> bool:
        key = _key(object_id)
        return key in self._pending or bool(self._file.fetch(self._find, (key,)))

    def flush(self) -> None:
        """Bring to disk what waits."""
        self._file.execute_many(self._insert, ((key,) for key in sorted(self._pending)))
        self._pending.clear()

    def _add(self, key: bytes) -> None:
        self._pending.add(key)
        if len(self._pending) >= _PENDING:
            self.flush()


def _key(object_id: ObjectId) -> bytes:
    return object_id.digest + _NUMBERS[object_id.algorithm] + _LETTERS[object_id.kind]


def _object_id(key: bytes) -> ObjectId:
    number, letter = key[DIGEST_SIZE], key[DIGEST_SIZE + 1 :]
    return ObjectId(Algorithm(number), key[:DIGEST_SIZE], Kind(letter.decode("ascii")))
