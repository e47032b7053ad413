"""Run a command and write down which files of repositories it opens, in order.

As 'swrepo exec', it runs the command with a mount of its own, so that nothing is missed because the kernel knows it
already; with --mount, on a mount that is there, whose other users are then in the trace as well. The exit status is
that of the command. 'swrepo profile add' makes of traces what lets a program start fast.
"""

from __future__ import annotations

import argparse

from swrepo.cli.commands import exec as exec_command
from swrepo.cli.linux import require_linux
from swrepo.errors import UsageError

EXAMPLE = """swrepo trace dair.cvmfs.server --output np.trace -- /cvmfs/dair.cvmfs.server/bin/python -c 'import numpy'
swrepo trace --mount /cvmfs --output compile.trace -- make"""

TAIL = "command"
"""What follows `--` is no option of ours."""


def configure(parser: argparse.ArgumentParser) -> None:
    exec_command.configure(parser)
    help_output = "where the trace is written, a line of JSON for each file (default: swrepo.trace)"
    parser.add_argument("--output", metavar="FILE", default="swrepo.trace", help=help_output)
    help_mount = "trace on this mount, of whoever uses it while the command runs"
    parser.add_argument("--mount", metavar="DIR", help=help_mount)


def run(args: argparse.Namespace) -> int:
    require_linux("swrepo trace")
    if not args.command:
        raise UsageError("swrepo trace needs a command, after '--'; try 'swrepo trace --help'")
    if args.mount is not None and (args.targets or args.reuse):
        raise UsageError("--mount traces on a mount that is there; repositories are named for one of its own")
    if args.reuse:
        raise UsageError("--reuse is for 'swrepo exec'; --mount DIR traces on what is mounted already")
    from swrepo.cli import tracing

    return tracing.trace(args)
