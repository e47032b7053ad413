"""Count anew what each catalog holds, and publish those whose counters were wrong ('check' tells)."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument

EXAMPLE = "swrepo server fix-stats dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-f", dest="force", action="store_true", help="accepted as in CernVM-FS, without an effect")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.upkeep.migrations import fix_counters
    from swrepo.upkeep.opening import Keeper

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    server_side.tell_rewritten(server, fqrn, fix_counters(Keeper(server), fqrn))
