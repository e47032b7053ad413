"""What a client or worker does at boot: it uses the server that user data name, or that a person pointed it to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from swrepo.fuse.mount import mounted_at
from swrepo.machine.settings import MachineSettings

POINTED = Path("etc/cvmfs/default.d/50-point-to-cvmfs.conf")
"""What PointToCVMFS leaves; a snapshot of a client has it, too."""

Command = tuple[str, ...]


def steps(settings: MachineSettings, root: Path) -> Iterator[Command]:
    """Commands, in order. Before anybody has named a server there is nothing to do: a person will type PointToCVMFS."""
    if settings.server:
        yield _pointing(settings, root)
    if settings.server or (root / POINTED).exists():
        # Nothing is mounted at boot; who runs this by hand may have mounted it himself.
        now = () if mounted_at(str(root / "cvmfs")) else ("--now",)
        yield ("systemctl", "enable", *now, "swrepo.target", "swrepo.service")
    if settings.server:
        yield from (("ls", f"/cvmfs/{name}") for name in settings.repositories)


def _pointing(settings: MachineSettings, root: Path) -> Command:
    words = ["PointToCVMFS", settings.server]
    if settings.trust:
        words.append("--yes")
    for key in sorted((root / "etc/swrepo/keys").glob("*.pub")):
        words += ["--key", str(key)]
    if settings.proxy:
        words += ["--proxy", settings.proxy]
    return (*words, "--no-mount")
