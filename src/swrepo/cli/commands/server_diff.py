"""Show what differs between two revisions, by default the last two, or what the next publication would change."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.progress import Progress
from swrepo.errors import UsageError

if TYPE_CHECKING:
    from swrepo.publish.layout import ServerLayout

EXAMPLE = """swrepo server diff -s v1.1 -d v1.2 dair.cvmfs.server
swrepo server diff -s '2026-11-01' dair.cvmfs.server
swrepo server diff --worktree dair.cvmfs.server"""

DASH_H = "a line about the revisions, as in CernVM-FS"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    revision = "a tag, @HASH of a root catalog, or a date"
    parser.add_argument("-s", "--from", dest="old", default="trunk-previous", metavar="REVISION", help=revision)
    parser.add_argument("-d", "--to", dest="new", default="trunk", metavar="REVISION", help="likewise")
    parser.add_argument("-m", "--machine-readable", dest="machine", action="store_true", help="for programs")
    parser.add_argument("-h", "--header", dest="header", action="store_true", help="a line first about the revisions")
    parser.add_argument("-i", "--ignore-timediff", dest="no_times", action="store_true", help="pass over mere times")
    parser.add_argument("-w", "--worktree", action="store_true", help="what the next publication would change")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    if args.worktree:
        _work_tree(server, fqrn)
        return
    from swrepo.cli.difference_lines import Lines
    from swrepo.upkeep.comparing import compare

    lines = Lines(machine=args.machine, times=not args.no_times)
    with compare(server, fqrn, args.old, args.new) as found:
        if args.header:
            print(lines.header(found.old_tag, found.new_tag))
        for line in lines.counts(found.counters()):
            print(line)
        for difference in found.differences():
            if (text := lines.line(difference)) is not None:
                print(text)


def _work_tree(server: ServerLayout, fqrn: str) -> None:
    from swrepo.cli import server_side
    from swrepo.publish.transaction import Publisher

    if not server.repository(fqrn).worktree.is_dir():
        raise UsageError(f"{fqrn} has no work tree here to compare with")
    listing = server_side.Listing(everything=True)
    with Progress("comparing", "files") as progress:
        Publisher(server, progress, listing).sync(fqrn)
