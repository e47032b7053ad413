"""Forget the whole-file copies of chunked files that old publishers stored beside the chunks, in a new revision.

No client since 2.1.7 (2013) reads them. 'gc' then removes the copies, once no kept revision names them.
"""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument

EXAMPLE = "cvmfs_server eliminate-bulk-hashes -f dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-f", dest="force", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    from swrepo.cli import server_side
    from swrepo.cli.confirming import confirm
    from swrepo.upkeep.migrations import eliminate_bulk_hashes
    from swrepo.upkeep.opening import Keeper

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    if not args.force and not confirm(f"forget the whole-file copies of chunked files of {fqrn}"):
        return 1
    server_side.tell_rewritten(server, fqrn, eliminate_bulk_hashes(Keeper(server), fqrn))
    return 0
