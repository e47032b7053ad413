"""Publish a directory as the next revision of a repository: all of what changed in it, or, where anything fails,
nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.publishing import add_publish_arguments

EXAMPLE = """\
swrepo publish /build/software dair.cvmfs.server
swrepo publish /build/software dair.cvmfs.server --changed lib/solver.py share/doc"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="what the repository shall hold; it is only read")
    parser.add_argument("repository", metavar="NAME", help="the repository; 'swrepo server mkfs' creates one")
    add_publish_arguments(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import publishing

    publishing.publish(args, args.repository, Path(args.directory))
