"""The tag database: names for revisions, and branches. Source: format.md 7, original.md 2.

`trunk` and `trunk-previous` are ordinary tags that every publication rewrites.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from swrepo.catalog.database import Database, Row
from swrepo.catalog.scratch import Scratch
from swrepo.errors import FormatError, NotFound
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.wellknown import TRUNK, TRUNK_PREVIOUS
from swrepo.objects.store import LocalObjects, Want

DEFAULT_BRANCH = ""
SCHEMA = "1.0"
SCHEMA_REVISION = 3

_PROPERTIES = "CREATE TABLE properties (key TEXT, value TEXT, CONSTRAINT pk_properties PRIMARY KEY (key))"
# initial_revision: the first revision of the branch; parent: the branch that it left, NULL for the default one, ''
_BRANCHES = (
    "CREATE TABLE branches (branch TEXT, parent TEXT, initial_revision INTEGER,  "
    "CONSTRAINT pk_branch PRIMARY KEY (branch),   FOREIGN KEY (parent) REFERENCES branches (branch),   "
    "CHECK ((branch <> '') OR (parent IS NULL)),   CHECK ((branch = '') OR (parent IS NOT NULL)))"
)
# hash: root catalog as text, without its letter; timestamp: publication; channel: no longer used, 0; size: plain bytes
_TAGS = (
    "CREATE TABLE tags (name TEXT, hash TEXT, revision INTEGER,   timestamp INTEGER, channel INTEGER, "
    "description TEXT, size INTEGER,   branch TEXT, CONSTRAINT pk_tags PRIMARY KEY (name),   "
    "FOREIGN KEY (branch) REFERENCES branches (branch))"
)
# No longer used, always empty.
_RECYCLE_BIN = "CREATE TABLE recycle_bin (hash TEXT, flags INTEGER,   CONSTRAINT pk_hash PRIMARY KEY (hash))"

_NEWEST_FIRST = "ORDER BY timestamp DESC, revision DESC, rowid"
_DESCRIPTIONS = {TRUNK: "current HEAD", TRUNK_PREVIOUS: "default undo target"}


@dataclass(frozen=True, slots=True)
class Tag:
    """A named revision. `size`: plain bytes of the root catalog, None where it is not known."""

    name: str
    root: ObjectId
    size: int | None
    revision: int
    timestamp: int
    description: str = ""
    branch: str = DEFAULT_BRANCH

    def __post_init__(self) -> None:
        if not self.name or any(character.isspace() or character == "\0" for character in self.name):
            raise FormatError(f"not a tag's name: {self.name!r}; it must not be empty or have white space")


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of revisions that left another one."""

    name: str
    parent: str | None
    initial_revision: int


class HistoryFile:
    """A tag database, open for reading. Safe from any thread. FormatError where it is none."""

    def __init__(self, database: Database) -> None:
        """Take over an open database; use `open`."""
        self._database = database
        columns = database.columns("tags")
        missing = {"name", "hash", "revision", "timestamp"} - columns
        if missing:
            raise FormatError(f"this is no tag database: it has no tags.{', tags.'.join(sorted(missing))}")
        # Revision 0 had no size, revision 2 no branches.
        optional = {
            "description": "CAST(description AS BLOB)",
            "size": "ifnull(size | 0, 0)",
            "branch": "CAST(branch AS BLOB)",
        }
        selected = [expression if column in columns else "NULL" for column, expression in optional.items()]
        always = "CAST(name AS BLOB), CAST(hash AS BLOB), ifnull(revision | 0, 0), ifnull(timestamp | 0, 0)"
        self._select = f"SELECT {always}, {', '.join(selected)} FROM tags"  # noqa: S608
        self.fqrn = self._property("fqrn")

    @classmethod
    def open(cls, file: int | str | os.PathLike[str]) -> Self:
        """Open the database in a file, given by path or by a descriptor that stays the caller's."""
        database = Database.open(file, "the tag database")
        try:
            return cls(database)
        except BaseException:
            database.close()
            raise

    def tags(self) -> tuple[Tag, ...]:
        """Every tag, newest first."""
        return tuple(_tag(row) for row in self._database.rows(f"{self._select} {_NEWEST_FIRST}"))

    def find(self, name: str) -> Tag | None:
        """The tag of that name."""
        row = self._database.one(f"{self._select} WHERE name = CAST(? AS TEXT)", (_raw(name),))
        return None if row is None else _tag(row)

    def by_date(self, moment: datetime) -> Tag | None:
        """The newest revision of the default branch that was published at `moment` (aware) or before."""
        tags = [tag for tag in self.tags() if tag.branch == DEFAULT_BRANCH and tag.timestamp <= moment.timestamp()]
        return max(tags, key=lambda tag: tag.revision, default=None)

    def branches(self) -> tuple[Branch, ...]:
        """Every branch, the default one too, as they were made."""
        if not self._database.columns("branches"):
            return (Branch(DEFAULT_BRANCH, None, 0),)
        rows = self._database.rows(
            "SELECT CAST(branch AS BLOB), CAST(parent AS BLOB), ifnull(initial_revision | 0, 0) FROM branches "
            "ORDER BY rowid"
        )
        return tuple(Branch(_text(name), None if above is None else _text(above), first) for name, above, first in rows)

    @property
    def previous_revision(self) -> ObjectId | None:
        """The tag database that this one replaced."""
        text = self._property("previous_revision")
        return ObjectId.parse(text, Kind.HISTORY) if text else None

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _property(self, key: str) -> str:
        row = self._database.one("SELECT CAST(value AS BLOB) FROM properties WHERE key = ?", (key,))
        return "" if row is None else _text(row[0])


def open_history(history: ObjectId, objects: LocalObjects) -> HistoryFile:
    """The tag database that a manifest names."""
    descriptor = objects.open(Want(history))
    try:
        return HistoryFile.open(descriptor)
    finally:
        os.close(descriptor)


class HistoryWriter:
    """A tag database in the making, a new one or a changed copy. For one thread at a time."""

    def __init__(self, path: str | os.PathLike[str], fqrn: str) -> None:
        """A new database, without tags, in a new file."""
        self._file = Scratch(path, f"the tag database of {fqrn}")
        self._file.execute("BEGIN")
        for table in (_PROPERTIES, _BRANCHES, _TAGS, _RECYCLE_BIN):
            self._file.execute(table)
        self._file.set_property("schema", SCHEMA)
        self._file.set_property("schema_revision", str(SCHEMA_REVISION))
        self._file.set_property("fqrn", fqrn)
        self._add_branch(Branch(DEFAULT_BRANCH, None, 0))

    @classmethod
    def edit(cls, source: HistoryFile, path: str | os.PathLike[str]) -> Self:
        """A copy of `source` in a new file, in today's schema."""
        writer = cls(path, source.fqrn)
        for branch in source.branches():
            if branch.name != DEFAULT_BRANCH:
                writer.add_branch(branch)
        writer._insert(sorted(source.tags(), key=lambda tag: (tag.revision, tag.timestamp)))
        return writer

    def tags(self) -> tuple[Tag, ...]:
        """Every tag, oldest revision first."""
        rows = self._file.fetch(
            "SELECT name, hash, revision, timestamp, description, size, branch FROM tags ORDER BY revision, timestamp"
        )
        return tuple(map(_tag, rows))

    def branches(self) -> frozenset[str]:
        """Names of all branches."""
        return frozenset(_text(row[0]) for row in self._file.fetch("SELECT branch FROM branches"))

    def find(self, name: str) -> Tag | None:
        """The tag of that name."""
        rows = self._file.fetch(
            "SELECT name, hash, revision, timestamp, description, size, branch FROM tags WHERE name = CAST(? AS TEXT)",
            (_raw(name),),
        )
        return _tag(rows[0]) if rows else None

    def add(self, tag: Tag) -> None:
        """Add a tag, or let its name stand for another revision."""
        self._insert([tag])

    def _insert(self, tags: Sequence[Tag]) -> None:
        known = self.branches()
        for tag in tags:
            if tag.branch not in known:
                raise NotFound(f"the tag {tag.name} belongs to the branch {tag.branch!r}, which does not exist")
        self._file.execute_many(
            "INSERT OR REPLACE INTO tags (name, hash, revision, timestamp, channel, description, size, branch) "
            "VALUES (CAST(? AS TEXT), ?, ?, ?, 0, CAST(? AS TEXT), ?, CAST(? AS TEXT))",
            (
                (
                    _raw(tag.name),
                    tag.root.text,
                    tag.revision,
                    tag.timestamp,
                    _raw(tag.description),
                    tag.size or 0,
                    _raw(tag.branch),
                )
                for tag in tags
            ),
        )

    def remove(self, name: str) -> None:
        """Remove a tag; NotFound."""
        if self._file.execute("DELETE FROM tags WHERE name = CAST(? AS TEXT)", (_raw(name),)) == 0:
            raise NotFound(f"there is no tag {name}")

    def advance(self, root: ObjectId, size: int, revision: int, timestamp: int) -> None:
        """Let `trunk` stand for a new revision, and `trunk-previous` for what it stood for."""
        trunk = self.find(TRUNK)
        if trunk is not None:
            self.add(_renamed(trunk, TRUNK_PREVIOUS))
        self.add(Tag(TRUNK, root, size, revision, timestamp, _DESCRIPTIONS[TRUNK]))

    def stand_at(self, root: ObjectId, size: int, revision: int, timestamp: int) -> None:
        """Let `trunk` stand for a revision, and nothing be `trunk-previous`: there is no way back from here."""
        self._file.execute("DELETE FROM tags WHERE name = ?", (TRUNK_PREVIOUS,))
        self.add(Tag(TRUNK, root, size, revision, timestamp, _DESCRIPTIONS[TRUNK]))

    def remove_newer(self, revision: int, branch: str = DEFAULT_BRANCH) -> int:
        """Remove the tags of a branch that stand for revisions after `revision` (a rollback); how many they were."""
        return self._file.execute(
            "DELETE FROM tags WHERE revision > ? AND branch = CAST(? AS TEXT)", (revision, _raw(branch))
        )

    def add_branch(self, branch: Branch) -> None:
        """Add a branch, whose parent must be there; FormatError where the name is taken."""
        parent = branch.parent or DEFAULT_BRANCH
        if not self._file.fetch("SELECT 1 FROM branches WHERE branch = CAST(? AS TEXT)", (_raw(parent),)):
            raise NotFound(f"the branch {branch.name} leaves {branch.parent!r}, which does not exist")
        self._add_branch(branch)

    def prune_branches(self) -> None:
        """Remove the branches that no tag stands on; those that left them leave their parents instead."""
        while True:
            rows = self._file.fetch(
                "SELECT branch, parent FROM branches "
                "WHERE branch <> '' AND branch NOT IN (SELECT branch FROM tags) LIMIT 1"
            )
            if not rows:
                return
            gone, parent = rows[0]
            self._file.execute(
                "UPDATE branches SET parent = CAST(? AS TEXT) WHERE parent = CAST(? AS TEXT)", (parent, gone)
            )
            self._file.execute("DELETE FROM branches WHERE branch = CAST(? AS TEXT)", (gone,))

    def finish(self, previous: ObjectId | None = None) -> int:
        """Note the database that this one replaces, and close the file; its size in bytes."""
        if previous is not None:
            self._file.set_property("previous_revision", previous.text)
        return self._file.finish()

    def discard(self) -> None:
        """Give up: close and remove the file."""
        self._file.discard()

    def _add_branch(self, branch: Branch) -> None:
        self._file.execute(
            "INSERT INTO branches (branch, parent, initial_revision) VALUES (CAST(? AS TEXT), CAST(? AS TEXT), ?)",
            (_raw(branch.name), None if branch.parent is None else _raw(branch.parent), branch.initial_revision),
        )


def _renamed(tag: Tag, name: str) -> Tag:
    return Tag(name, tag.root, tag.size, tag.revision, tag.timestamp, _DESCRIPTIONS.get(name, ""), tag.branch)


def _tag(row: Row) -> Tag:
    name, root, revision, timestamp, description, size, branch = row
    return Tag(
        _text(name),
        ObjectId.parse(_text(root), Kind.CATALOG),
        max(0, size or 0) or None,
        revision,
        timestamp,
        _text(description),
        _text(branch),
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "surrogateescape")


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
