"""Take mounts away."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.linux import require_linux

EXAMPLE = "swrepo umount /mnt"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mountpoints", nargs="+", metavar="DIR", help="where the mount is")
    parser.add_argument("-l", "--lazy", action="store_true", help="detach at once, even while programs use it")


def run(args: argparse.Namespace) -> None:
    require_linux("swrepo umount")
    from swrepo.fuse.mount import umount

    for mountpoint in args.mountpoints:
        umount(str(Path(mountpoint).absolute()), lazy=args.lazy)
