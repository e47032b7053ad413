"""Continue an old revision on a branch: the next publication starts from it, and the newest revision stays as it is."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument
from swrepo.errors import UsageError

EXAMPLE = """swrepo server checkout -t v1.2 -b v1.2-fixes dair.cvmfs.server   # a new branch
swrepo server publish -a v1.2.1 dair.cvmfs.server
swrepo server checkout -b v1.2-fixes dair.cvmfs.server            # continue it
swrepo server checkout dair.cvmfs.server                          # no branch after all"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-b", dest="branch", default="", metavar="BRANCH", help="the branch")
    parser.add_argument("-t", dest="tag", default="", metavar="TAG", help="begin the branch at this tag")


def run(args: argparse.Namespace) -> None:
    if args.tag and not args.branch:
        raise UsageError(f"-t {args.tag}: name the new branch with -b")
    from swrepo.cli import server_side
    from swrepo.cli.transactions import renew_view
    from swrepo.upkeep.branching import back_to_trunk, check_out
    from swrepo.upkeep.opening import Keeper

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    if not args.branch:
        back_to_trunk(Keeper(server), fqrn)
        renew_view(server, fqrn)
        print("Reset to trunk on default branch")
        return
    target = check_out(Keeper(server), fqrn, args.branch, args.tag)
    renew_view(server, fqrn)
    onto = "onto new branch" if args.tag else "on branch"
    print(f"Checked out tag {target.tag} ({target.root.text}) {onto} {target.branch}")
