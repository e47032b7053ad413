"""Make a file of its own of each name of a hard link, in a new revision. Contents stay shared."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument

EXAMPLE = "swrepo server eliminate-hardlinks -f dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-f", dest="force", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    from swrepo.cli import server_side
    from swrepo.cli.confirming import confirm
    from swrepo.upkeep.migrations import eliminate_hardlinks
    from swrepo.upkeep.opening import Keeper

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    if not args.force and not confirm(f"break up every hard link of {fqrn}"):
        return 1
    server_side.tell_rewritten(server, fqrn, eliminate_hardlinks(Keeper(server), fqrn))
    return 0
