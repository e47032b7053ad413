"""Remove images by the paths under which people find them, with the root file systems and layers that no other uses.

The space is free after garbage collection, once no kept revision has them.
"""

from __future__ import annotations

import argparse

from swrepo.cli.image_removal import add_removal_options

EXAMPLE = "cvmfs_server images remove -n -b /images/solver:3 sw.example.org   # what would go"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-b", "--base_dir", "--base-dir", dest="images", action="append", required=True, metavar="PATH", help="an image"
    )
    add_removal_options(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cli.image_removal import remove

    remove(args, args.images)
