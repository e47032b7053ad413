"""Open a transaction: the work tree is a writable view of the last revision (overlayfs) until publish or abort."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument

EXAMPLE = """cvmfs_server transaction dair.cvmfs.server
cvmfs_server publish dair.cvmfs.server"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument(
        "-t", dest="wait", type=float, default=0.0, metavar="SECONDS", help="wait while another transaction is open"
    )


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side, transactions
    from swrepo.publish.hooks import Hook, hooks_around

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    with hooks_around(server, Hook.TRANSACTION_BEFORE, Hook.TRANSACTION_AFTER, fqrn):
        transactions.begin(server, fqrn, wait=args.wait)
    print(f"{fqrn}: {server.repository(fqrn).worktree} can be written to; 'publish' or 'abort' ends that")
