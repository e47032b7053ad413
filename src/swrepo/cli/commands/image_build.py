"""Build bootable disk images of a server, a client, a worker: without mounts, loop devices or a service."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.errors import UsageError

EXAMPLE = "swrepo image build server client --package dist/swrepo_0.1.0-1~debian12_amd64.deb"

_ROLES = ("server", "client", "worker")
_UNITS = {"M": 1 << 20, "G": 1 << 30}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("roles", nargs="+", metavar="ROLE", help=", ".join(_ROLES))
    parser.add_argument("--output", type=Path, metavar="FILE", help="the image (default: swrepo-ROLE.qcow2 here)")
    parser.add_argument(
        "--package", type=Path, required=True, metavar="DEB", help="swrepo's Debian package ('make deb')"
    )
    parser.add_argument(
        "--size", default="2G", help="of the disk, which grows at the first boot (default: %(default)s)"
    )
    parser.add_argument("--mirror", action="append", default=[], metavar="URL", help="where packages come from")
    parser.add_argument("--lock", type=Path, metavar="DIR", help="package versions are to be those in DIR/ROLE.json")
    parser.add_argument("--update-lock", action="store_true", help="write what is installed to DIR/ROLE.json instead")


def run(args: argparse.Namespace) -> None:
    import os
    import time

    from swrepo.cli.output import note, size_text
    from swrepo.image.build import BuildOptions, build
    from swrepo.image.recipe import recipe

    recipes = [recipe(role) for role in args.roles]
    if args.output and len(recipes) > 1:
        raise UsageError("--output names one image; give one role, or leave it out")
    if args.update_lock and not args.lock:
        raise UsageError("--update-lock needs --lock DIR, the directory of the lock files")
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    for found in recipes:
        target = args.output or Path(f"swrepo-{found.role}.qcow2")
        lock_file = args.lock / f"{found.role}.json" if args.lock else None
        options = BuildOptions(args.package, lock_file, args.update_lock, _bytes(args.size), tuple(args.mirror), epoch)
        start = time.monotonic()
        build(found, target.absolute(), options, note)
        print(f"{target}  {size_text(target.stat().st_size)}  {time.monotonic() - start:.0f} s")


def _bytes(text: str) -> int:
    number, unit = text[:-1], _UNITS.get(text[-1:].upper())
    if unit is None or not number.isdigit() or int(number) == 0:
        raise UsageError(f"--size {text}: expected a number with M or G, such as 2G")
    return int(number) * unit
