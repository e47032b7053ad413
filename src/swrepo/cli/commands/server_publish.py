"""Publish what changed in the work tree as the next revision: all of it, or, where anything fails, nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.arguments import add_repositories_argument
from swrepo.cli.output import note
from swrepo.cli.publishing import add_publish_arguments
from swrepo.errors import SwrepoError, UsageError

EXAMPLE = """swrepo server publish dair.cvmfs.server -a v1.2 -m 'with the new solver'
swrepo server publish '*.example.org'"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_repositories_argument(parser)
    parser.add_argument("--source", metavar="DIR", help="another directory than the work tree")
    add_publish_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from swrepo.cli import publishing, server_side

    source = Path(args.source) if args.source else None
    names = server_side.several(server_side.layout(), [name.partition("/")[0] for name in args.repositories])
    if len(names) == 1:
        publishing.publish(args, names[0], source)
        return 0
    if source is not None or args.changed or args.changed_from:
        raise UsageError("--source and --changed are about one repository; name one")
    code = 0
    for name in names:
        try:
            publishing.publish(args, name, None)
        except SwrepoError as error:
            note(f"{name}: {error}")
            code = code or error.exit_code
    return code
