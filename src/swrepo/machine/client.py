"""What a client or worker does at boot: it points itself to the server that user data names, if they name one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from swrepo.machine.settings import MachineSettings

Command = tuple[str, ...]


def steps(settings: MachineSettings, root: Path) -> Iterator[Command]:
    """Commands, in order. Without a server there is nothing to do: a person will type PointToCVMFS."""
    if not settings.server:
        return
    words = ["PointToCVMFS", settings.server]
    if settings.trust:
        words.append("--yes")
    for key in sorted((root / "etc/swrepo/keys").glob("*.pub")):
        words += ["--key", str(key)]
    if settings.proxy:
        words += ["--proxy", settings.proxy]
    yield (*words, "--no-mount")
    yield ("systemctl", "enable", "--now", "swrepo.target", "swrepo.service")
    for name in settings.repositories:
        yield ("ls", f"/cvmfs/{name}")
