"""List the named revisions (tags) of a repository, newest first."""

from __future__ import annotations

import argparse

from swrepo.cli.output import write_json
from swrepo.cli.selection import add_selection_options

EXAMPLE = "swrepo tags http://127.0.0.1:8000/cvmfs/dair.cvmfs.server --key dair.cvmfs.server.pub"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="URL", help="repository")
    add_selection_options(parser)
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli.opening import open_target
    from swrepo.cli.tagging import tag_record, write_tags

    with open_target(args, args.target) as opened:
        tags = opened.tags()
    if args.json:
        write_json([tag_record(tag) for tag in tags])
    else:
        write_tags(tags)
