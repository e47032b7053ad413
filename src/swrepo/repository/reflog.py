"""The reference log `.cvmfsreflog`: every root catalog, certificate, tag database and meta info ever published.

Garbage collection finds there what it may sweep. The file is served as it is, not compressed; its hash is in the
manifest (line Y). Source: format.md 8.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple, Self

from swrepo.catalog.database import Database
from swrepo.catalog.scratch import Scratch
from swrepo.errors import FormatError
from swrepo.format.object_id import Kind, ObjectId

SCHEMA = "1.0"

_TYPES = {Kind.CATALOG: 0, Kind.CERTIFICATE: 1, Kind.HISTORY: 2, Kind.METAINFO: 3}
_KINDS = {number: kind for kind, number in _TYPES.items()}

_PROPERTIES = "CREATE TABLE properties (key TEXT, value TEXT, CONSTRAINT pk_properties PRIMARY KEY (key))"
_REFS = "CREATE TABLE refs (hash TEXT, type INTEGER, timestamp INTEGER, CONSTRAINT pk_refs PRIMARY KEY (hash))"


class Reference(NamedTuple):
    """An object that was published, and when it was noted (Unix time)."""

    id: ObjectId
    timestamp: int


class ReflogFile:
    """A reference log, open for reading. Safe from any thread. FormatError where it is none."""

    def __init__(self, database: Database) -> None:
        """Take over an open database; use `open`."""
        self._database = database
        if not database.columns("refs") >= {"hash", "type"}:
            raise FormatError("this is no reference log: it has no table of references")
        self._when = "ifnull(timestamp | 0, 0)" if "timestamp" in database.columns("refs") else "0"
        row = database.one("SELECT CAST(value AS BLOB) FROM properties WHERE key = 'fqrn'")
        self.fqrn = "" if row is None else _text(row[0])

    @classmethod
    def open(cls, file: int | str | os.PathLike[str]) -> Self:
        """Open the log in a file, given by path or by a descriptor that stays the caller's."""
        database = Database.open(file, "the reference log")
        try:
            return cls(database)
        except BaseException:
            database.close()
            raise

    def references(self, kind: Kind | None = None) -> tuple[Reference, ...]:
        """What was noted, of one kind or all, oldest first."""
        rows = self._database.rows(
            f"SELECT CAST(hash AS BLOB), type | 0, {self._when} FROM refs ORDER BY 3, rowid"  # noqa: S608
        )
        found = tuple(Reference(ObjectId.parse(_text(text), _kind(number)), when) for text, number, when in rows)
        return found if kind is None else tuple(reference for reference in found if reference.id.kind is kind)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


class ReflogWriter:
    """A reference log in the making, a new one or a changed copy. For one thread at a time."""

    def __init__(self, path: str | os.PathLike[str], fqrn: str) -> None:
        """A new, empty log in a new file."""
        self._file = Scratch(path, f"the reference log of {fqrn}")
        self._file.execute("BEGIN")
        self._file.execute(_PROPERTIES)
        self._file.execute(_REFS)
        self._file.set_property("schema", SCHEMA)
        self._file.set_property("schema_revision", "0")
        self._file.set_property("fqrn", fqrn)

    @classmethod
    def edit(cls, source: ReflogFile, path: str | os.PathLike[str]) -> Self:
        """A copy of `source` in a new file."""
        writer = cls(path, source.fqrn)
        writer._insert(source.references())
        return writer

    def add(self, object_id: ObjectId, timestamp: int) -> None:
        """Note an object; one that is there keeps the time at which it was noted."""
        if object_id.kind not in _TYPES:
            raise FormatError(f"{object_id} is not of a kind that a reference log holds")
        self._insert([Reference(object_id, timestamp)])

    def _insert(self, references: Iterable[Reference]) -> None:
        self._file.execute_many(
            "INSERT OR IGNORE INTO refs (hash, type, timestamp) VALUES (?, ?, ?)",
            ((object_id.text, _TYPES[object_id.kind], timestamp) for object_id, timestamp in references),
        )

    def remove(self, object_id: ObjectId) -> None:
        """Take an object out, once it was swept; a no-op where it is not noted."""
        self._file.execute(
            "DELETE FROM refs WHERE hash = ? AND type = ?", (object_id.text, _TYPES.get(object_id.kind, -1))
        )

    def finish(self) -> int:
        """Close the file; its size in bytes."""
        return self._file.finish()

    def discard(self) -> None:
        """Give up: close and remove the file."""
        self._file.discard()


def _kind(number: int | None) -> Kind:
    try:
        return _KINDS[-1 if number is None else number]
    except KeyError:
        raise FormatError(f"the reference log has a reference of the unknown type {number}") from None


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "surrogateescape")
