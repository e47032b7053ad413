"""Bring the views of repositories back, as after a reboot: the open transaction, else the last revision."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repositories_argument

EXAMPLE = "cvmfs_server mount -a"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repositories_argument(parser)
    parser.add_argument("-a", dest="all", action="store_true", help="of all repositories that are worked on that way")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side, transactions

    server = server_side.layout()
    names = server_side.published(server) if args.all else server_side.several(server, args.repositories)
    for name in names:
        union = transactions.union_of(server.repository(name))
        if not union.is_used:
            if not args.all:
                print(f"{name}: the work tree is a plain directory and needs no mount")
            continue
        union.show()
        state = "the open transaction" if union.is_open else "the last revision"
        print(f"{name}: {union.places.worktree} shows {state}")
