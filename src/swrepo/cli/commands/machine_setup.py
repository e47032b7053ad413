"""Run at boot: make the machine what its image and its user data (/etc/swrepo/machine.conf) say. Can be run again."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swrepo.machine.settings import MachineSettings

EXAMPLE = "swrepo machine setup --dry-run"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="the machine's file system")
    parser.add_argument("--dry-run", action="store_true", help="print the commands, run none")


def run(args: argparse.Namespace) -> None:
    import subprocess

    from swrepo.errors import SwrepoError
    from swrepo.machine import settings

    found = settings.load(args.root)
    for command in _steps(found, args.root):
        print(f"# {shlex.join(command)}", flush=True)
        if args.dry_run:
            continue
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise SwrepoError(
                f"'{shlex.join(command)}' ended with exit code {done.returncode}; mend what it says above, then "
                "'swrepo machine setup' goes on"
            )


def _steps(found: MachineSettings, root: Path) -> Iterator[tuple[str, ...]]:
    from swrepo.image.programs import run
    from swrepo.machine import client, server, volume

    if found.role != "server":
        yield from client.steps(found, root)
        return
    listing = run(volume.LISTING) if found.volume != "none" else '{"blockdevices": []}'
    yield from server.steps(found, root, volume.choose(listing, found.volume))
