"""Which plain bytes are stored under which name, so that what is met again is neither compressed nor stored again.

An archive has no identity that could be trusted as that of a file (publish.staged); its bytes have. So an ingestion
that was stopped goes on fast, and so does that of an image whose files another image had. It can be lost at any time.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from functools import partial
from pathlib import Path

from swrepo.format.object_id import Kind
from swrepo.publish.encoder import Encoder
from swrepo.publish.expendable import Expendable, checksum

_SCHEMA = """
CREATE TABLE settings (signature TEXT PRIMARY KEY);
CREATE TABLE contents (plain BLOB PRIMARY KEY, digest BLOB, checksum INTEGER) WITHOUT ROWID;
"""
_LAYOUT = "2:"
"""Begins the signature of tables that look like these."""
_COMMIT_EVERY = 500
_MOST = 4_000_000
"""Rows (some 100 bytes each) beyond which it begins anew."""


class KnownContents:
    """The table in the file `path`, for one way of storing (`signature`). Safe from any thread."""

    def __init__(self, path: Path, signature: str) -> None:
        self._lock = threading.Lock()
        self._database = Expendable(path, partial(_prepare, _LAYOUT + signature))
        self._uncommitted = 0

    @staticmethod
    def key(plain: bytes, encoder: Encoder, kind: Kind) -> bytes:
        """What a content is known by here."""
        return hashlib.sha256(plain, usedforsecurity=False).digest() + bytes(
            (encoder.compression, ord(kind.value or "-"))
        )

    def find(self, key: bytes) -> bytes | None:
        """The digest of the object that has it, if that was ever stored: it may be gone by now."""
        with self._lock:
            rows = self._database.rows("SELECT digest, checksum FROM contents WHERE plain = ?", (key,))
        return next((digest for digest, known in rows if checksum((key, digest)) == known), None)

    def add(self, key: bytes, digest: bytes) -> None:
        """Remember what the store has taken."""
        with self._lock:
            row = (key, digest, checksum((key, digest)))
            self._database.write("INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", [row])
            self._uncommitted += 1
            if self._uncommitted >= _COMMIT_EVERY:
                self._commit()

    def close(self) -> None:
        with self._lock:
            self._commit()
            self._database.close()

    def _commit(self) -> None:
        self._database.commit()
        self._uncommitted = 0


def _prepare(signature: str, database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE IF NOT EXISTS settings (signature TEXT PRIMARY KEY)")
    is_ours = database.execute("SELECT signature FROM settings").fetchall() == [(signature,)]
    if not is_ours or database.execute("SELECT count(*) FROM contents").fetchone()[0] > _MOST:
        for table in ("contents", "settings"):
            database.execute(f"DROP TABLE IF EXISTS {table}")
        database.executescript(_SCHEMA)
        database.execute("INSERT INTO settings VALUES (?)", (signature,))
        database.commit()
