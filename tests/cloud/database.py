"""A MariaDB of the tests' own, as clouds have it: services with many threads lock each other out of SQLite."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swrepo.image import programs
from tests.network.programs import free_port, running

PROGRAM = "mariadbd"


@dataclass(frozen=True, slots=True)
class Database:
    """A server that runs, with databases in which everything is allowed to whoever reaches its socket."""

    socket: Path

    def url(self, name: str) -> str:
        """As SQLAlchemy takes it."""
        return f"mysql+pymysql://root@localhost/{name}?charset=utf8&unix_socket={self.socket}"


def is_here() -> bool:
    """Whether the program is."""
    return programs.find(PROGRAM) is not None


@contextmanager
def mariadb(place: Path, names: Sequence[str]) -> Iterator[Database]:
    """A server with these (empty) databases, which keeps what it has below `place` and does not wait for the disk.

    A character is a byte: Nova's models have indices that are too long otherwise, which its migrations cut.
    """
    (place / "data").mkdir(parents=True)
    found, port = Database(place / "socket"), free_port()
    (place / "init.sql").write_text("".join(f"CREATE DATABASE {name} CHARACTER SET latin1;\n" for name in names))
    words = [
        *(str(programs.find(PROGRAM)), "--no-defaults", f"--user={pwd.getpwuid(os.geteuid()).pw_name}"),
        *(f"--datadir={place / 'data'}", f"--socket={found.socket}", f"--pid-file={place / 'pid'}"),
        *("--skip-grant-tables", f"--init-file={place / 'init.sql'}"),  # it needs no accounts, nor tables for them
        *("--bind-address=127.0.0.1", f"--port={port}", "--skip-log-bin", "--skip-name-resolve"),
        *("--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=128M", "--max-connections=500"),
    ]
    with running(words, port, place / "log"):
        yield found
