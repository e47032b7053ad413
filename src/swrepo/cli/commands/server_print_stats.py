"""Print what publications or garbage collections of a repository did, a line each."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.arguments import add_repository_argument

EXAMPLE = """
swrepo server print-stats dair.cvmfs.server
swrepo server print-stats -t gc_statistics -s , -o collections.csv dair.cvmfs.server
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument(
        "-t", dest="table", default="publish_statistics", help="or gc_statistics (default: %(default)s)"
    )
    parser.add_argument(
        "-s", dest="separator", default="|", metavar="TEXT", help="between columns (default: %(default)s)"
    )
    parser.add_argument("-o", dest="output", metavar="FILE", help="write to a file")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.publish.statistics import rows

    server = server_side.layout()
    found = rows(server.repository(server_side.which(server, args.repository)), args.table)
    text = "".join(f"{args.separator.join(row)}\n" for row in found)
    if args.output:
        Path(args.output).write_text(text, "utf-8")
    else:
        print(text, end="")
