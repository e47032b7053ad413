"""Run a command that sees repositories below /cvmfs: without root, and gone with the command.

The command runs as you, in a mount namespace of its own. Without a repository, it sees every configured one. Its exit
status is that of this program, which becomes the command; 126 and 127 say, as in a shell, that it cannot be run.
"""

from __future__ import annotations

import argparse

from swrepo.cli.linux import require_linux
from swrepo.cli.selection import add_access_options
from swrepo.errors import UsageError

EXAMPLE = """swrepo exec http://127.0.0.1:8000/cvmfs/dair.cvmfs.server --key dair.cvmfs.server.pub -- ls /cvmfs
swrepo exec dair.cvmfs.server -- make -C src"""

TAIL = "command"
"""What follows `--` is no option of ours."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [URL|NAME ...] [OPTION ...] -- COMMAND [ARGUMENT ...]"
    parser.add_argument("targets", nargs="*", metavar="URL|NAME", help="repository, by its URL, directory or name")
    parser.add_argument("--at", metavar="DIR", default="/cvmfs", help="where the repositories are (default: /cvmfs)")
    help_reuse = "use what is mounted there already, if it has the repositories"
    parser.add_argument("--reuse", action="store_true", help=help_reuse)
    what = "as of 'swrepo mount', for each repository"
    parser.add_argument("-o", dest="options", action="append", default=[], metavar="OPT", help=what)
    add_access_options(parser)


def run(args: argparse.Namespace) -> int:
    require_linux("swrepo exec")
    if not args.command:
        raise UsageError("swrepo exec needs a command, after '--'; try 'swrepo exec --help'")
    from swrepo.cli import executing

    return executing.execute(args)
