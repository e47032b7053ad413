"""Write files of a repository to standard output, without a mount."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from swrepo.cli.describe import printable
from swrepo.cli.selection import add_selection_options
from swrepo.errors import IsADirectory, UsageError

EXAMPLE = "swrepo cat http://127.0.0.1:8000/cvmfs/dair.cvmfs.server/Hello --key dair.cvmfs.server.pub"

_PIECE = 1 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="+", metavar="URL/PATH", help="repository and path of a file in it")
    add_selection_options(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cli.opening import open_target

    out = sys.stdout.buffer
    for text in args.targets:
        with open_target(args, text) as opened:
            path, entry = opened.resolve(opened.target.path)
            if entry.is_directory:
                raise IsADirectory(f"{printable(path) or '/'} is a directory; 'swrepo cp -r' copies one")
            if not entry.is_regular:
                raise UsageError(f"{printable(path)} is not a file with content; 'swrepo stat' describes it")
            with closing(opened.revision.content(path)) as content:
                for offset in range(0, content.size, _PIECE):
                    out.write(content.pread(offset, _PIECE))
    out.flush()
