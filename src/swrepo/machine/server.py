"""What a server does at boot: its volume, its repositories with the sample application, its list of repositories.

Everything is done by the commands that an administrator would type; the journal shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from swrepo.machine.settings import SAMPLE_REPOSITORY, MachineSettings
from swrepo.machine.volume import Volume, commands

SAMPLE = Path("usr/share/swrepo/sample")
RESTORED_KEYS = Path("etc/swrepo/keys")
"""Where user data puts the keys of a repository that is to be made with them."""

Command = tuple[str, ...]


def steps(settings: MachineSettings, root: Path, volume: Volume | None) -> Iterator[Command]:
    """Commands, each of which has to be done before the next is asked for: what a volume brings is looked at then.

    Those for what is there already are left out, so that each boot can ask.
    """
    if volume is not None:
        yield from commands(volume)
    for name in settings.repositories:
        if not (root / "etc/cvmfs/repositories.d" / name / "server.conf").exists():
            yield from _creation(settings, root, name)


def _creation(settings: MachineSettings, root: Path, name: str) -> Iterator[Command]:
    keys = root / RESTORED_KEYS
    restored = ("-k", str(keys)) if (keys / f"{name}.pub").exists() else ()
    is_stored = (root / "srv/cvmfs" / name / ".cvmfspublished").exists()
    yield ("swrepo", "server", "import" if is_stored else "mkfs", "-o", settings.owner, *restored, name)
    if name == SAMPLE_REPOSITORY and not is_stored:
        yield ("cp", "-r", "--no-target-directory", str(root / SAMPLE), f"/cvmfs/{name}")
        yield ("chown", "-R", f"{settings.owner}:", f"/cvmfs/{name}")
        yield ("runuser", "-u", settings.owner, "--", "swrepo", "server", "publish", name)
