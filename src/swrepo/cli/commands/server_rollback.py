"""Make an old revision the newest one again, and remove the tags of what came after it."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.output import note, write_json

EXAMPLE = "swrepo server rollback -t v1.2 dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-t", dest="tag", default="", metavar="TAG", help="default: the revision before the newest")
    parser.add_argument("-f", dest="force", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> int:
    from swrepo.cli import server_side
    from swrepo.cli.confirming import confirm
    from swrepo.cli.publishing import after_change
    from swrepo.cli.transactions import renew_view, union_of
    from swrepo.upkeep.opening import Keeper
    from swrepo.upkeep.rollback import roll_back

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    what = f"make the revision of {args.tag} the newest one" if args.tag else "undo the last publication"
    if not args.force and not confirm(f"{what} of {fqrn}"):
        return 1
    done = roll_back(Keeper(server), fqrn, args.tag)
    removed = [tag.name for tag in done.removed]
    after_change(server, fqrn, quiet=args.json)
    renew_view(server, fqrn)
    if args.json:
        write_json(
            {
                "repository": fqrn,
                "revision": done.revision,
                "like": done.target.revision,
                "removed_tags": removed,
            }
        )
        return 0
    print(f"{fqrn}: revision {done.revision} is like revision {done.target.revision}")
    if removed:
        print(f"removed tags: {', '.join(removed)}")
    if not union_of(server.repository(fqrn)).is_used:
        note("the work tree was not touched: what stands there is what 'publish' publishes next")
    return 0
