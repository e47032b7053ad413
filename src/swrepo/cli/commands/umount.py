"""Take mounts away."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from swrepo.cli.linux import require_linux

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
            print(
                f"swrepo: note: {mountpoint} is served on until they end: copies in the mount namespaces of "
                f"{in_words(left)}",
                file=sys.stderr,
            )
