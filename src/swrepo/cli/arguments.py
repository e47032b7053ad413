"""Arguments that several commands of a server share."""

from __future__ import annotations

import argparse


def add_repository_argument(parser: argparse.ArgumentParser) -> None:
    """The optional name of a repository."""
    parser.add_argument(
        "repository", nargs="?", metavar="NAME", help="default: that of the work tree one is in, or the only one"
    )
