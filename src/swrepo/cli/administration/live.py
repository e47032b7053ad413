"""The mounts of this machine: which there are, and what each says of itself. No mounted directory is touched."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from swrepo.cli.mounting import SOCKET_PREFIX, sockets
from swrepo.cli.places import Places
from swrepo.errors import MountFailed
from swrepo.mount.control import ask

KIND = "fuse.swrepo"
PATIENCE = 3.0
"""Seconds that a mount has for an answer."""

_MOUNTINFO = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_PEER = struct.Struct("=iII")
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class LiveMount:
    """A mount, the number of its FUSE connection, its control socket, and its state; None where it does not answer.

    `source`: the repository, or `cvmfs` for all. `pid`: who serves it, as far as that is known. `is_held`: there is
    somebody who should answer.
    """

    mountpoint: str
    connection: int
    socket: Path | None
    state: dict[str, Any] | None
    source: str = ""
    pid: int | None = None
    is_held: bool = False

    def repositories(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each repository in use, with the directory where it is."""
        for repository in (self.state or {}).get("repositories", ()):
            name = repository["name"]
            yield os.path.join(self.mountpoint, name) if name else self.mountpoint, repository


class MountEntry(NamedTuple):
    """A line of the kernel's table of mounts."""

    mountpoint: str
    kind: str
    source: str
    connection: int


class Asked(NamedTuple):
    """A control socket: the state of its mount, or who holds it without answering, where that is known."""

    path: Path
    state: dict[str, Any] | None
    pid: int | None
    is_held: bool


def live_mounts(places: Places) -> list[LiveMount]:
    """Those of these places, in the order of mounting: root's are all mounts of the machine."""
    answers = ask_all(sockets(None, places))
    by_mountpoint = {found.state["mountpoint"]: found for found in answers if found.state is not None}
    silent = [found for found in answers if found.state is None and found.is_held]
    mounts = []
    for entry in mount_table():
        if entry.kind != KIND:
            continue
        answer = by_mountpoint.get(entry.mountpoint)
        if answer is not None:
            state = answer.state or {}
            mounts.append(LiveMount(*_ends(entry), answer.path, state, entry.source, state.get("pid"), is_held=True))
        elif (holder := _of(entry.source, silent)) is not None:
            mounts.append(LiveMount(*_ends(entry), holder.path, None, entry.source, holder.pid, is_held=True))
        elif Path(entry.mountpoint).is_relative_to(places.mountpoint.parent):
            mounts.append(LiveMount(*_ends(entry), None, None, entry.source))
    return mounts


def ask_all(paths: Sequence[Path]) -> list[Asked]:
    """Ask every control socket for the state of its mount, all at once."""
    if not paths:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(paths)), thread_name_prefix="asking") as pool:
        return list(pool.map(_ask, paths))


def mount_table() -> Iterator[MountEntry]:
    """What is mounted, in the order of mounting. Source: proc_pid_mountinfo(5)."""
    for line in _MOUNTINFO.read_bytes().splitlines():
        fields = line.split(b" ")
        kind, source = fields[fields.index(b"-") + 1 :][:2]
        minor = int(fields[2].partition(b":")[2])
        yield MountEntry(_text(fields[4]), kind.decode("ascii", "replace"), _text(source), minor)


def _ends(entry: MountEntry) -> tuple[str, int]:
    return entry.mountpoint, entry.connection


def _text(field: bytes) -> str:
    return os.fsdecode(_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field))


def _of(source: str, silent: Sequence[Asked]) -> Asked | None:
    """The socket that is named after what is mounted: one that does not answer cannot say where it belongs."""
    name = SOCKET_PREFIX + source
    return next((found for found in silent if found.path.name == name or found.path.name.startswith(name + ".")), None)


def _ask(path: Path) -> Asked:
    try:
        state = json.loads(ask(path, "status", timeout=PATIENCE))
        if isinstance(state, dict) and "mountpoint" in state:
            return Asked(path, state, state.get("pid"), is_held=True)
    except (MountFailed, ValueError):
        pass
    return Asked(path, None, *_holder(path))


def _holder(path: Path) -> tuple[int | None, bool]:
    """The process that listens on a socket, which the kernel knows of a stopped one too, and whether there is one."""
    with (
        suppress(FileNotFoundError, ConnectionRefusedError, PermissionError),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection,
    ):
        connection.settimeout(PATIENCE)
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{directory}/{path.name}")
        except BlockingIOError:  # it has not answered for so long that its queue is full
            return _only_server(), True
        finally:
            os.close(directory)
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        return int(_PEER.unpack(peer)[0]) or None, True
    return None, False


def _only_server() -> int | None:
    """The process that serves a FUSE mount of this machine; None where there are several, or it is not to be seen."""
    holders: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/fd"):
        pid = int(path.parent.name)
        with suppress(OSError):
            if any(os.readlink(descriptor) == "/dev/fuse" for descriptor in path.iterdir()):
                holders[pid] = int((path.parent / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    workers = [pid for pid, parent in holders.items() if parent in holders]  # the parent is its guard
    return workers[0] if len(workers) == 1 else None
