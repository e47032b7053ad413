"""Contents that are stored already, by the identity of their files, so that they need not be read again.

`sync` fills it ahead of a publication; a publication that was killed finds here what it had done. It can be lost at any
time: then files are read again. The rule of `settled` holds here too: only a file that had been at rest before it was
read is taken on trust.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from swrepo.format.dirent import Chunk
from swrepo.publish.changes import Identity
from swrepo.publish.expendable import Expendable, checksum
from swrepo.publish.settled import CLOCK_GRAIN_NS

_SCHEMA = """
CREATE TABLE settings (signature TEXT PRIMARY KEY);
CREATE TABLE contents (
    device INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    digest BLOB, chunks BLOB, flags INTEGER, checksum INTEGER,
    PRIMARY KEY (device, inode)) WITHOUT ROWID;
CREATE TABLE pieces (
    device INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    offset INTEGER, length INTEGER, digest BLOB, checksum INTEGER,
    PRIMARY KEY (device, inode, offset)) WITHOUT ROWID;
"""
_LAYOUT = "2:"
"""Begins the signature of tables that look like these."""
_ADD = "INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_PIECE = "INSERT OR REPLACE INTO pieces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_THIS = "WHERE device = ? AND inode = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ?"
_CHUNK = struct.Struct("<QQ20s")
_WORTH_A_NOTE_NS = 10 * 10**9
"""Work of that long may be done once more after a kill: most publications end before, and write no notes at all."""
_MOST_IN_MEMORY = 100_000
_COMMIT_PIECES_EVERY = 4
_SIGN = 1 << 63


class Content(NamedTuple):
    """What a file's content is stored as: one object, or chunks; and the flags that say so."""

    digest: bytes | None
    chunks: tuple[Chunk, ...]
    flags: int


class Staged:
    """The table of stored contents in the file `path`, for one way of storing (`signature`). For one thread."""

    def __init__(self, path: Path, signature: str, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._database = Expendable(path, partial(_prepare, _LAYOUT + signature))
        self._contents: list[tuple[Identity, Content]] = []
        self._oldest_ns = 0  # when the first of those was read
        self._pieces: list[tuple[object, ...]] = []
        self._is_discarded = False
        self._is_empty = not self._database.rows("SELECT 1 FROM contents LIMIT 1")

    def now_ns(self) -> int:
        """The time before which a file must have come to rest for its content to be kept here."""
        return self._clock_ns()

    def find(self, identity: Identity) -> Content | None:
        """The content of the file, if it is known."""
        if self._is_empty:
            return None
        key = _signed(identity)
        for *content, known in self._database.rows(
            f"SELECT digest, chunks, flags, checksum FROM contents {_THIS}",  # noqa: S608
            key,
        ):
            if checksum((*key, *content)) == known:
                digest, chunks, flags = content
                return Content(digest, tuple(Chunk(*fields) for fields in _CHUNK.iter_unpack(chunks)), flags)
        return None

    def add(self, identity: Identity, content: Content, read_at_ns: int) -> None:
        """Keep the content of a file that was read after `read_at_ns`."""
        if identity.ctime_ns >= read_at_ns - CLOCK_GRAIN_NS:
            return  # it may have been written to once more without any trace in its times
        if not self._contents:
            self._oldest_ns = read_at_ns
        self._contents.append((identity, content))
        is_long = read_at_ns - self._oldest_ns > _WORTH_A_NOTE_NS or len(self._contents) >= _MOST_IN_MEMORY
        if is_long or content.chunks:
            self.commit()

    def begun(self, identity: Identity) -> tuple[Chunk, ...]:
        """The chunks of the file that are noted, from its beginning without a gap."""
        key = _signed(identity)
        rows = self._database.rows(
            f"SELECT offset, length, digest, checksum FROM pieces {_THIS} ORDER BY offset",  # noqa: S608
            key,
        )
        found: list[Chunk] = []
        end = 0
        for offset, length, digest, known in rows:
            if offset != end or checksum((*key, offset, length, digest)) != known:
                break
            found.append(Chunk(offset, length, digest))
            end += length
        return tuple(found)

    def note(self, identity: Identity, chunk: Chunk, read_at_ns: int) -> None:
        """Keep a chunk of a file that is being read since `read_at_ns`."""
        if identity.ctime_ns >= read_at_ns - CLOCK_GRAIN_NS:
            return
        row = (*_signed(identity), chunk.offset, chunk.size, chunk.digest)
        self._pieces.append((*row, checksum(row)))
        if len(self._pieces) >= _COMMIT_PIECES_EVERY:
            self.commit()

    def commit(self) -> None:
        """Let a successor find what was added."""
        self._database.write(_ADD, (_row(identity, content) for identity, content in self._contents))
        self._database.write(_ADD_PIECE, self._pieces)
        self._database.commit()
        self._contents.clear()
        self._pieces.clear()

    def close(self) -> None:
        """Commit and close; harmless after `discard`."""
        if not self._is_discarded:
            self.commit()
            self._database.close()

    def discard(self) -> None:
        """Close and forget everything: it is published now."""
        self._is_discarded = True
        self._database.remove()


def _prepare(signature: str, database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE IF NOT EXISTS settings (signature TEXT PRIMARY KEY)")
    if database.execute("SELECT signature FROM settings").fetchall() != [(signature,)]:
        for table in ("contents", "pieces", "settings"):
            database.execute(f"DROP TABLE IF EXISTS {table}")
        database.executescript(_SCHEMA)
        database.execute("INSERT INTO settings VALUES (?)", (signature,))
        database.commit()


def _row(identity: Identity, content: Content) -> tuple[object, ...]:
    chunks = b"".join(_CHUNK.pack(*chunk) for chunk in content.chunks) if content.chunks else b""
    row = (*_signed(identity), content.digest, chunks, content.flags)
    return (*row, checksum(row))


def _signed(identity: Identity) -> tuple[int, ...]:
    """SQLite's integers are signed; inode and device numbers may use all 64 bits."""
    if max(identity) < _SIGN:
        return identity
    return tuple((value + _SIGN) % (1 << 64) - _SIGN for value in identity)
