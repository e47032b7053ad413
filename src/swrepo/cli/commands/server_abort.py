"""Give up a transaction: what was changed is forgotten, and the work tree shows the last revision again."""

from __future__ import annotations

import argparse
import sys

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.output import note
from swrepo.errors import NotInTransaction, UsageError

EXAMPLE = "cvmfs_server abort -f dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-f", dest="force", action="store_true", help="do not ask, and although it is in use")


def run(args: argparse.Namespace) -> int:
    import os

    from swrepo.cli import server_side, transactions
    from swrepo.publish.hooks import Hook, hooks_around
    from swrepo.system.lock import exclusive

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository and args.repository.partition("/")[0])
    union = transactions.union_of(server.repository(fqrn))
    if not union.is_open:
        raise NotInTransaction(f"{fqrn} is in no transaction, so there is nothing to abort")
    if not args.force and not _agreed(fqrn):
        print("the transaction stays open")
        return 1
    os.chdir("/")
    around = hooks_around(server, Hook.ABORT_BEFORE, Hook.ABORT_AFTER, fqrn)
    with around, exclusive(union.places.lock, f"aborting the transaction of {fqrn}"):
        users = union.end(force=args.force)
    if users:
        note(f"{users}: still there, and sees the old state until it leaves {union.places.worktree}")
    print(f"{fqrn}: the transaction is aborted, its changes are gone")
    return 0


def _agreed(fqrn: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody is here to say whether all changes are to be forgotten; -f says so ahead")
    return input(f"Forget all changes of the transaction of {fqrn}? [y/N] ").strip().lower() in ("y", "yes")
