"""Run at boot, before the network: a disk that starts on another machine gets a new machine id and new host keys."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "swrepo machine identity"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="the machine's file system")


def run(args: argparse.Namespace) -> None:
    import secrets

    from swrepo.machine.identity import renew

    found = renew(args.root, secrets.token_hex(16))
    if found.renewed:
        print(f"this disk starts on another machine than before: new machine id, {len(found.removed)} files removed")
        for path in found.removed:
            print(f"  {path}")
