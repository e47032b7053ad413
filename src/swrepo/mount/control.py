"""The control socket of a mount: a line of text per connection, a text as the answer, as in the original.

Source: format.md 11, "Talk socket".
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from swrepo.errors import MountFailed, SwrepoError

log = logging.getLogger(__name__)

Command = Callable[[str], str]
"""Gets what follows the command's name; returns the answer without the last newline."""

_LONGEST_LINE = 4096
_PATIENCE = 300.0
_SUN_PATH = 100


class ControlSocket:
    """Listens on `path` and answers with `commands`, each connection in its own thread."""

    def __init__(self, path: Path, commands: Mapping[str, Command], owner: tuple[int, int] | None = None) -> None:
        """Take the place of a dead socket, or a name of our own (`path.PID`) beside a living one.

        `owner`: numbers of the user and group to whom it is given.
        """
        self._commands = {**commands, "help": self._help}
        self.path = _free(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _Reachable(self.path) as address:
            self._socket.bind(address)
        try:
            if owner is not None:
                os.chown(self.path, *owner)
            os.chmod(self.path, 0o600)
            self._socket.listen(16)
        except OSError:
            self.close()
            raise
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self.path.unlink(missing_ok=True)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def answer(self, line: str) -> str:
        """The answer to one command."""
        return answer(self._commands, line)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), name="control", daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(_PATIENCE)
                with connection.makefile("rb") as stream:
                    line = stream.readline(_LONGEST_LINE).decode("utf-8", "replace")
                connection.sendall(self._safely(line).encode("utf-8", "replace"))
            except OSError:
                log.info("a control connection broke off")

    def _safely(self, line: str) -> str:
        try:
            return self.answer(line) + "\n"
        except SwrepoError as error:
            return f"error: {error}\n"
        except Exception:
            log.exception("the control command %r failed", line)
            return "error: see the log\n"

    def _help(self, _rest: str) -> str:
        return "\n".join(sorted(self._commands))


def answer(commands: Mapping[str, Command], line: str) -> str:
    """The answer of the command that a line begins with, the longest name first."""
    line = line.strip()
    for name in sorted(commands, key=len, reverse=True):
        if line == name or line.startswith(name + " "):
            return commands[name](line[len(name) :].strip())
    return "unknown command; try help"


def ask(path: Path, command: str, timeout: float = _PATIENCE) -> str:
    """Send a command to a mount and return its answer. MountFailed where nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, _Reachable(path) as address:
            connection.settimeout(timeout)
            connection.connect(address)
            connection.sendall(command.encode() + b"\n")
            with connection.makefile("rb") as stream:
                return stream.read().decode("utf-8", "replace").rstrip("\n")
    except OSError as error:
        raise MountFailed(f"no mount answers at {path}: {error.strerror or error}") from error


def _free(path: Path) -> Path:
    if not path.exists():
        return path
    try:
        ask(path, "pid", timeout=5)
    except MountFailed:
        path.unlink(missing_ok=True)
        return path
    return path.with_name(f"{path.name}.{os.getpid()}")


class _Reachable:
    """The address of a socket: by way of /proc where the path is longer than a socket's address may be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) < _SUN_PATH:
            return str(self._path)
        self._directory = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._directory}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        if self._directory >= 0:
            os.close(self._directory)
