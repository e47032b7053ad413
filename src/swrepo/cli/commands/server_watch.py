"""Publish a tree whenever it has changed and rests for a moment; the kernel tells which paths have.

What is there is published first. Of changes that other machines make in a network file system, of mapped memory and of
files with names in several directories the kernel tells less: the comparison of everything finds those.
"""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.publishing import add_content_arguments

EXAMPLE = """swrepo server watch dair.cvmfs.server
swrepo server watch dair.cvmfs.server --source /build/software --quiet 10"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("--source", metavar="DIR", help="another directory than the work tree")
    quiet = "publish after so long without a change (default: %(default)s)"
    parser.add_argument("--quiet", type=float, default=2.0, metavar="SECONDS", help=quiet)
    at_most = "and so long after the first change, however much follows (default: %(default)s)"
    parser.add_argument("--at-most", type=float, default=60.0, metavar="SECONDS", help=at_most)
    everything = "compare everything so often, 0: only at the start (default: %(default)s)"
    parser.add_argument("--everything", type=float, default=24.0, metavar="HOURS", help=everything)
    add_content_arguments(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import watching
    from swrepo.cli.linux import require_linux

    require_linux("swrepo server watch")
    watching.watch(args)
