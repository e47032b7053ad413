"""Take mounts away."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.linux import require_linux
from swrepo.cli.output import note

EXAMPLE = "swrepo umount /mnt"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mountpoints", nargs="+", metavar="DIR", help="where the mount is")
    parser.add_argument("-l", "--lazy", action="store_true", help="detach at once, even while programs use it")


def run(args: argparse.Namespace) -> None:
    require_linux("swrepo umount")
    from swrepo.fuse.copies import holders, in_words
    from swrepo.fuse.mount import device_of, place_of, umount

    for mountpoint in args.mountpoints:
        where = str(Path(mountpoint).absolute())
        device = device_of(place_of(where))
        umount(where, lazy=args.lazy)
        left = holders(device) if device is not None else []
        if left:
            note(f"{mountpoint} is served on until they end: copies in the mount namespaces of {in_words(left)}")
