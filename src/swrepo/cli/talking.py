"""Which control socket is that of a repository: one of its own, or that of a mount which shows it among others."""

from __future__ import annotations

import json

from swrepo.cli.mounting import SOCKET_PREFIX, sockets
from swrepo.cli.places import Places
from swrepo.errors import MountFailed
from swrepo.mount.control import ask

_PATIENCE = 10.0


def ask_repository(name: str, command: str, places: Places) -> str:
    """The answer of the mount of a repository. MountFailed where it is not mounted."""
    for path in sorted(sockets(None, places), key=lambda path: not path.name.startswith(SOCKET_PREFIX + name)):
        try:
            state = json.loads(ask(path, "status", timeout=_PATIENCE))
            shown = {repository["fqrn"]: repository["name"] for repository in state["repositories"]}
        except (MountFailed, ValueError, KeyError, TypeError):
            continue
        if name in shown:
            return ask(path, f"in {name} {command}" if shown[name] else command)
    raise MountFailed(f"{name} is not mounted, or in use, at the moment")
