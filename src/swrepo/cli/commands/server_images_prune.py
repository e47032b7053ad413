"""Remove the root file systems and layers that no image uses any more, for its name was removed or leads elsewhere now.

The space is free after garbage collection, once no kept revision has them.
"""

from __future__ import annotations

import argparse

from swrepo.cli.image_removal import add_removal_options

EXAMPLE = "cvmfs_server images prune sw.example.org && cvmfs_server gc -f sw.example.org"


def configure(parser: argparse.ArgumentParser) -> None:
    add_removal_options(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cli.image_removal import remove

    remove(args, ())
