"""Open a transaction: the work tree is a writable view of the last revision (overlayfs) until publish or abort."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument

EXAMPLE = """cvmfs_server transaction dair.cvmfs.server
cvmfs_server publish dair.cvmfs.server
cvmfs_server transaction -T /releases/v1=/releases/v2 dair.cvmfs.server"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    what = "wait so long while another transaction is open; 0: for ever (default: not at all)"
    parser.add_argument("-t", dest="wait", type=float, metavar="SECONDS", help=what)
    parser.add_argument(
        "-T",
        dest="template",
        metavar="FROM=TO",
        help="start with the directory FROM of the last revision once more as TO, without a content read or stored",
    )


def run(args: argparse.Namespace) -> None:
    import os

    from swrepo.cli import server_side, transactions
    from swrepo.publish.cloning import CloneRequest
    from swrepo.publish.hooks import Hook, hooks_around

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository and args.repository.partition("/")[0])
    request = None if args.template is None else CloneRequest.parse(os.fsencode(args.template))
    with hooks_around(server, Hook.TRANSACTION_BEFORE, Hook.TRANSACTION_AFTER, fqrn):
        entries = transactions.begin(server, fqrn, wait=args.wait, request=request)
    if request is not None:
        print(f"{fqrn}: {os.fsdecode(request.target)} is a clone of {os.fsdecode(request.source)}, {entries:,} entries")
    print(f"{fqrn}: {server.repository(fqrn).worktree} can be written to; 'publish' or 'abort' ends that")
