"""What shall be at which path, gathered in any order and read in the order of the tree: entries of archives, and what
is to go. On disk (a database in a scratch directory), so that memory does not grow with an archive's members.

Layers lie on each other as those of an image do: what a layer removes is gone from those below it, whatever the order
within the layer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.paths import ROOT, basename, join, parent

_SCHEMA = """
CREATE TABLE nodes (
    parent BLOB, name BLOB, kind INTEGER, layer INTEGER, opaque INTEGER, file INTEGER, chunks BLOB,
    mode INTEGER, size INTEGER, mtime INTEGER, mtime_ns INTEGER, uid INTEGER, gid INTEGER, flags INTEGER,
    symlink BLOB, digest BLOB, xattr_blob BLOB,
    PRIMARY KEY (parent, name)) WITHOUT ROWID;
CREATE TABLE links (parent BLOB, name BLOB, target BLOB, PRIMARY KEY (parent, name)) WITHOUT ROWID;
"""
_PUT = f"INSERT OR REPLACE INTO nodes VALUES ({','.join('?' * 17)})"  # noqa: S608
_BELOW = "(parent = ?1 OR (parent > ?2 AND parent < ?3))"
_THIS = "parent = ? AND name = ?"
_DIGEST = 20


class Role(IntEnum):
    """What a node says of its path."""

    WAY = 0
    """Something below it changes; itself it stays, or stays away."""
    IMPLIED = 1
    """A directory is needed, whose attributes nobody told."""
    ENTRY = 2
    GONE = 3


class Node(NamedTuple):
    """What is known of one path. `opaque`: of a directory, nothing of what was there before shows. `file` is the same
    for all names of one file. `entry` and `chunks` are those of an ENTRY; link counts are not in it.
    """

    name: bytes
    role: Role
    opaque: bool
    file: int
    entry: Dirent | None
    chunks: tuple[Chunk, ...]

    @property
    def may_hold(self) -> bool:
        """Whether there can be something below it."""
        return self.role in (Role.WAY, Role.IMPLIED) or (self.entry is not None and self.entry.is_directory)


class LayeredTree:
    """For one thread; close it."""

    def __init__(self, path: Path) -> None:
        """The file `path` must not exist. It is of no use after a crash."""
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("PRAGMA cache_size = -32000")
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")
        self._files = 0
        self._has_links = False
        self._ready: tuple[bytes, Role] | None = None
        self.layer = 0
        """The layer that is being laid."""
        self.displaced: list[bytes] = []
        """What was something else and became a directory, because something lies below it."""

    def put(self, path: bytes, entry: Dirent, chunks: tuple[Chunk, ...] = (), file: int = 0) -> int:
        """The path shall have this entry, `file` being the one that it is a name of; the number of that."""
        if path != ROOT:
            self._need(parent(path))
        old = self.find(path)
        opaque = False
        if old is not None and entry.is_directory:
            opaque = old.opaque or not old.may_hold
        elif old is not None and old.may_hold:
            self._clear_below(path)
        if self._has_links:
            self._database.execute(f"DELETE FROM links WHERE {_THIS}", _key(path))  # noqa: S608
        if not file and not entry.is_directory:
            self._files += 1
            file = self._files
        self._store(path, Role.ENTRY, opaque=opaque, file=file, entry=entry, chunks=chunks)
        return file

    def imply(self, path: bytes) -> None:
        """There shall be a directory, whatever its attributes."""
        self._need(path)

    def link(self, path: bytes, target: bytes) -> None:
        """The path shall be another name of `target`, which comes later, or not at all."""
        self._need(parent(path))
        self._has_links = True
        self._database.execute("INSERT OR REPLACE INTO links VALUES (?, ?, ?)", (*_key(path), target))

    def links(self) -> list[tuple[bytes, bytes]]:
        """Those names, with their targets."""
        rows = self._database.execute("SELECT parent, name, target FROM links").fetchall()
        return [(join(above, name), target) for above, name, target in rows]

    def remove(self, path: bytes) -> None:
        """What layers below have at the path shall be gone, with all that is below it."""
        self._clear_below(path, self.layer)
        old = self.find(path)
        if old is not None and old.may_hold and self._layer(path) == self.layer:
            self._database.execute(f"UPDATE nodes SET opaque = 1 WHERE {_THIS}", _key(path))  # noqa: S608
        elif old is None or self._layer(path) != self.layer:
            if old is None and path != ROOT:
                self._pass(parent(path))
            self._store(path, Role.GONE)
        self._need_what_holds(path)

    def empty(self, path: bytes) -> None:
        """The directory shall show nothing of what layers below have in it."""
        self._clear_below(path, self.layer)
        self._need(path)
        self._database.execute(f"UPDATE nodes SET opaque = 1 WHERE {_THIS}", _key(path))  # noqa: S608
        self._need_what_holds(path)

    def _need_what_holds(self, path: bytes) -> None:
        """What this layer has below a path lies in directories, though those may have been of layers below."""
        query = f"SELECT DISTINCT parent FROM nodes WHERE {_BELOW} AND name != x''"  # noqa: S608
        for (above,) in self._database.execute(query, _range(path)).fetchall():
            self._need(above)

    def find(self, path: bytes) -> Node | None:
        """What is known of the path."""
        row = self._database.execute(f"SELECT * FROM nodes WHERE {_THIS}", _key(path)).fetchone()  # noqa: S608
        return None if row is None else _node(row)

    def children(self, path: bytes) -> list[Node]:
        """What is known of what is in a directory, sorted by name."""
        rows = self._database.execute("SELECT * FROM nodes WHERE parent = ? AND name != ? ORDER BY name", (path, b""))
        return [_node(row) for row in rows]

    def implied(self) -> list[bytes]:
        """Directories that are needed, and of which nobody told."""
        rows = self._database.execute("SELECT parent, name FROM nodes WHERE kind = ?", (Role.IMPLIED,)).fetchall()
        return [join(above, name) for above, name in rows if name]

    def gone(self) -> tuple[bytes, ...]:
        """What is removed."""
        rows = self._database.execute("SELECT parent, name FROM nodes WHERE kind = ?", (Role.GONE,)).fetchall()
        return tuple(join(above, name) for above, name in rows)

    def below(self, path: bytes) -> Iterator[tuple[bytes, Node]]:
        """Everything that is known at and below a path, a directory before what it holds."""
        stack = [path]
        while stack:
            at = stack.pop()
            node = self.find(at)
            if node is not None:
                yield at, node
                if node.may_hold:
                    stack += [join(at, child.name) for child in reversed(self.children(at))]

    def close(self) -> None:
        self._database.close()

    def _layer(self, path: bytes) -> int:
        row = self._database.execute(f"SELECT layer FROM nodes WHERE {_THIS}", _key(path)).fetchone()  # noqa: S608
        return -1 if row is None else int(row[0])

    def _need(self, path: bytes) -> None:
        """Have a directory there, and on the way to it."""
        if self._ready == (path, Role.IMPLIED):
            return
        missing = []
        at = path
        while True:
            old = self.find(at)
            if old is not None and old.may_hold and old.role is not Role.WAY:
                break
            missing.append((at, old))
            if at == ROOT:
                break
            at = parent(at)
        for at, old in missing:
            if old is not None and old.role is Role.ENTRY:
                self.displaced.append(at)
            self._store(at, Role.IMPLIED, opaque=old is not None and (old.opaque or not old.may_hold))
        self._ready = (path, Role.IMPLIED)

    def _pass(self, path: bytes) -> None:
        """Note the way to a path below this one."""
        while self.find(path) is None:
            self._store(path, Role.WAY)
            if path == ROOT:
                return
            path = parent(path)

    def _clear_below(self, path: bytes, layer: int | None = None) -> None:
        """Forget what is below a path; with `layer`, only what is of layers below that."""
        self._ready = None
        older = "" if layer is None else f" AND layer < {int(layer)}"
        self._database.execute(f"DELETE FROM nodes WHERE {_BELOW} AND name != x''{older}", _range(path))  # noqa: S608
        self._database.execute(f"DELETE FROM links WHERE {_BELOW}", _range(path))  # noqa: S608

    def _store(
        self,
        path: bytes,
        role: Role,
        *,
        opaque: bool = False,
        file: int = 0,
        entry: Dirent | None = None,
        chunks: tuple[Chunk, ...] = (),
    ) -> None:
        columns: tuple[object, ...] = (None,) * 10
        if entry is not None:
            columns = (
                entry.mode,
                entry.size,
                entry.mtime,
                entry.mtime_ns,
                entry.uid,
                entry.gid,
                entry.flags,
                entry.symlink,
                entry.digest,
                entry.xattr_blob,
            )
        packed = b"".join(_packed(chunk) for chunk in chunks)
        self._database.execute(_PUT, (*_key(path), role, self.layer, opaque, file, packed, *columns))


def _packed(chunk: Chunk) -> bytes:
    return chunk.offset.to_bytes(8, "big") + chunk.size.to_bytes(4, "big") + chunk.digest


def _unpacked(data: bytes) -> Iterator[Chunk]:
    step = 12 + _DIGEST
    for at in range(0, len(data), step):
        yield Chunk(
            int.from_bytes(data[at : at + 8], "big"),
            int.from_bytes(data[at + 8 : at + 12], "big"),
            data[at + 12 : at + step],
        )


def _key(path: bytes) -> tuple[bytes, bytes]:
    return parent(path), basename(path)


def _range(path: bytes) -> tuple[bytes, bytes, bytes]:
    return path, path + b"/", path + b"0"


def _node(row: tuple[object, ...]) -> Node:
    _, name, kind, _, opaque, file, chunks, *columns = row
    entry = None
    if kind == Role.ENTRY:
        mode, size, mtime, mtime_ns, uid, gid, flags, symlink, digest, blob = columns
        entry = Dirent(name, mode, size, mtime, mtime_ns, uid, gid, flags, 1, symlink, digest, blob)  # type: ignore[arg-type]
    return Node(name, Role(kind), bool(opaque), file, entry, tuple(_unpacked(chunks)))  # type: ignore[arg-type]
