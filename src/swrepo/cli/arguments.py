"""Arguments that several commands of a server share."""

from __future__ import annotations

import argparse


def add_repositories_argument(parser: argparse.ArgumentParser) -> None:
    """Optional names and patterns of repositories."""
    parser.add_argument(
        "repositories",
        nargs="*",
        metavar="NAME",
        help="also a pattern, as '*.example.org'; default: that of the work tree one is in, or the only one",
    )


def add_repository_argument(parser: argparse.ArgumentParser) -> None:
    """The optional name of a repository."""
    parser.add_argument(
        "repository", nargs="?", metavar="NAME", help="default: that of the work tree one is in, or the only one"
    )
