"""Give everything in a repository other owners, by maps, in a new revision; no file is read for it."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.arguments import add_repository_argument
from swrepo.errors import UsageError

EXAMPLE = "swrepo server catalog-chown -u uid.map -g gid.map dair.cvmfs.server   # lines such as '1000 0', '* 99'"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-u", dest="uids", metavar="MAP", help="file of the numbers of users, before and after")
    parser.add_argument("-g", dest="gids", metavar="MAP", help="the same for groups")


def run(args: argparse.Namespace) -> None:
    if args.uids is None and args.gids is None:
        raise UsageError("name a map of users with -u, of groups with -g, or both")
    from swrepo.cli import server_side
    from swrepo.config.owner_map import OwnerMap, read_map
    from swrepo.upkeep.migrations import change_owners
    from swrepo.upkeep.opening import Keeper

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    uids, gids = (OwnerMap() if name is None else read_map(Path(name)) for name in (args.uids, args.gids))
    server_side.tell_rewritten(server, fqrn, change_owners(Keeper(server), fqrn, uids, gids))
