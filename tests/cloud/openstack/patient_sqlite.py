"""SQLite for services with many threads: who finds a database locked waits, and nobody waits for the disk."""

import sqlite3

from sqlalchemy import event
from sqlalchemy.engine import Engine


@event.listens_for(Engine, "connect")
def settle(connection, _record) -> None:
    """Of each connection, whoever makes it."""
    if isinstance(connection, sqlite3.Connection):
        for words in ("journal_mode = WAL", "synchronous = OFF", "busy_timeout = 60000"):
            connection.execute(f"PRAGMA {words}")


def one_after_another() -> None:
    """Have each transaction begin as one that writes: one that read first and writes later is refused, not made to wait.

    Not for services that begin a transaction within another one of the same thread.
    """

    @event.listens_for(Engine, "begin")
    def begin(connection) -> None:
        if connection.dialect.name == "sqlite" and "in_transaction" not in connection.info:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.info["in_transaction"] = True  # whoever else would begin it looks there
