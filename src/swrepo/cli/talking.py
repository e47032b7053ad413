"""Which control socket is that of a repository: one of its own, or that of a mount which shows it among others."""

from __future__ import annotations

import json
import time
from pathlib import Path

from swrepo.cli.mounting import SOCKET_PREFIX, sockets
from swrepo.cli.places import Places
from swrepo.errors import MountFailed
from swrepo.mount.control import ask

RELOAD = "reload"
_PROGRAMS = "hotpatch history"
_ERROR = "error: "
_PATIENCE = 10.0
_RELOADED = 120.0
_PAUSE = 0.02


def ask_repository(name: str, command: str, places: Places) -> str:
    """The answer of the mount of a repository. MountFailed where it is not mounted."""
    for path in sorted(sockets(None, places), key=lambda path: not path.name.startswith(SOCKET_PREFIX + name)):
        try:
            state = json.loads(ask(path, "status", timeout=_PATIENCE))
            shown = {repository["fqrn"]: repository["name"] for repository in state["repositories"]}
        except (MountFailed, ValueError, KeyError, TypeError):
            continue
        if name in shown and command == RELOAD:
            return reload(path, places)
        if name in shown:
            return ask(path, f"in {name} {command}" if shown[name] else command)
    raise MountFailed(f"{name} is not mounted, or in use, at the moment")


def reload(path: Path, places: Places) -> str:
    """Have a mount go on with the code and configuration of now; the answer comes when it does.

    MountFailed where nobody answers, at first or afterwards.
    """
    before, mountpoint, programs = ask(path, "pid"), ask(path, "mountpoint"), ask(path, _PROGRAMS)
    answer = ask(path, RELOAD)
    if answer.startswith((_ERROR, "unknown command")):
        return answer
    end = time.monotonic() + _RELOADED
    while time.monotonic() < end:
        for found in dict.fromkeys([path, *sockets(None, places)]):  # its cache may be another one now
            try:
                after = ask(found, "pid", timeout=_PATIENCE)
                if after != before and ask(found, "mountpoint", timeout=_PATIENCE) == mountpoint:
                    if ask(found, _PROGRAMS) == programs:
                        return f"{_ERROR}the program that was started could not go on, the one before does: see the log"
                    return f"process {after} has taken over from process {before}"
            except MountFailed:
                continue
        time.sleep(_PAUSE)
    raise MountFailed(f"{mountpoint} was to be reloaded, and does not answer: see its log")
