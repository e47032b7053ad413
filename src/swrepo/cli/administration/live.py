"""The mounts of this machine: which there are, and what each says of itself. No mounted directory is touched."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swrepo.cli.mounting import sockets
from swrepo.cli.places import Places
from swrepo.errors import MountFailed
from swrepo.mount.control import ask

_MOUNTINFO = Path("/proc/self/mountinfo")
_KIND = "fuse.swrepo"
_PATIENCE = 10.0
_ESCAPE = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class LiveMount:
    """A mount, the number of its FUSE connection, its control socket, and its state; None where it does not answer."""

    mountpoint: str
    connection: int
    socket: Path | None
    state: dict[str, Any] | None

    def repositories(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each repository in use, with the directory where it is."""
        for repository in (self.state or {}).get("repositories", ()):
            name = repository["name"]
            yield os.path.join(self.mountpoint, name) if name else self.mountpoint, repository


def live_mounts(places: Places) -> list[LiveMount]:
    """Those of these places, in the order of mounting: root's are all mounts of the machine."""
    answers: dict[str, tuple[Path, dict[str, Any]]] = {}
    for socket in sockets(None, places):
        try:
            state = json.loads(ask(socket, "status", timeout=_PATIENCE))
            answers[state["mountpoint"]] = (socket, state)
        except (MountFailed, ValueError, KeyError, TypeError):
            continue
    found = []
    for mountpoint, connection in _mounted():
        answer = answers.get(mountpoint)
        if answer is None and not Path(mountpoint).is_relative_to(places.mountpoint.parent):
            continue
        if answer is None:
            found.append(LiveMount(mountpoint, connection, None, None))
        else:
            found.append(LiveMount(mountpoint, connection, *answer))
    return found


def _mounted() -> Iterator[tuple[str, int]]:
    """Mount points and connection numbers. Source: proc_pid_mountinfo(5)."""
    for line in _MOUNTINFO.read_bytes().splitlines():
        fields = line.split(b" ")
        kind = fields[fields.index(b"-") + 1]
        if kind.decode("ascii", "replace") == _KIND:
            path = _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), fields[4])
            yield os.fsdecode(path), int(fields[2].partition(b":")[2])
