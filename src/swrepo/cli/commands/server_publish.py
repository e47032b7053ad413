"""Publish what changed in the work tree as the next revision: all of it, or, where anything fails, nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.publishing import add_publish_arguments

EXAMPLE = "swrepo server publish dair.cvmfs.server -a v1.2 -m 'with the new solver'"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("--source", metavar="DIR", help="another directory than the work tree")
    add_publish_arguments(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import publishing

    publishing.publish(args, args.repository, Path(args.source) if args.source else None)
