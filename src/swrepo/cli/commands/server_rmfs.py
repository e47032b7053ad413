"""Remove a repository from this server: configuration, spool area, storage and keys. The work tree stays.

With -p its storage and keys stay too, so that 'import' brings it back. Without the keys nobody can ever publish to it
again: back them up first ('keys backup').
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from swrepo.cli.output import note

if TYPE_CHECKING:
    from swrepo.publish.layout import ServerLayout

EXAMPLE = """
swrepo server rmfs -p dair.cvmfs.server
swrepo server rmfs -f dair.cvmfs.server
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repositories", nargs="+", metavar="NAME")
    parser.add_argument("-f", dest="force", action="store_true", help="do not ask")
    parser.add_argument("-p", dest="preserve", action="store_true", help="keep the storage and the keys")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.cli.confirming import confirm
    from swrepo.publish.removal import remove_repository

    server = server_side.layout()
    for fqrn in server_side.several(server, args.repositories):
        what = "configuration" if args.preserve else "storage, keys and all"
        if not args.force and not confirm(f"Remove the repository {fqrn}, {what}"):
            note(f"{fqrn}: left as it is")
            continue
        _take_view_away(server, fqrn)
        left = remove_repository(server, server.repository(fqrn), preserve=args.preserve)
        print(f"{fqrn} is removed" + (f"; left: {', '.join(map(str, left))}" if left else ""))


def _take_view_away(server: ServerLayout, fqrn: str) -> None:
    """Where transactions made the work tree a view, an open one goes with it."""
    import os

    from swrepo.cli.transactions import union_of

    union = union_of(server.repository(fqrn))
    if not union.is_used:
        return
    os.chdir("/")
    if users := union.remove():
        note(f"{users}: still there, and sees the repository until it leaves {union.places.worktree}")
