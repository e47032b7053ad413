"""Run a command, or a shell, to which a repository is a directory that it can write to; without root, and for it alone.

Everybody else sees the repository as it is, and with the command all that it changed is gone, with every process that
it left. With -t, for a repository of this server, 'cvmfs_server publish' in there publishes it. To an ordinary user all
files belong. The exit status is that of the command.
"""

from __future__ import annotations

import argparse

from swrepo.cli.selection import add_access_options, from_here

EXAMPLE = """cvmfs_server enter dair.cvmfs.server -- make -C /cvmfs/dair.cvmfs.server/src install
cvmfs_server enter -t dair.cvmfs.server -- sh -c 'touch /cvmfs/dair.cvmfs.server/new && cvmfs_server publish'"""

TAIL = "command"
"""What follows `--` is no option of ours."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [OPTION ...] NAME [-- COMMAND [ARGUMENT ...]]"
    parser.add_argument("repository", metavar="NAME", help="of this server, or one that this machine is configured for")
    parser.add_argument("-w", dest="stratum0", metavar="URL", help="read it from there")
    parser.add_argument("-r", dest="root", action="store_true", help="be root in there, as far as it reaches")
    parser.add_argument("-t", dest="transaction", action="store_true", help="what is changed may be published")
    parser.add_argument("-k", dest="keep", action="store_true", help="keep the session's directory, with all changes")
    parser.add_argument("-l", dest="logs", action="store_true", help="accepted: a session has no logs of its own")
    parser.add_argument("-c", dest="client", metavar="FILE", help="accepted: the client is swrepo itself")
    parser.add_argument(
        "--scratch", type=from_here, metavar="DIR", help="where changes are meanwhile (default: ~/.cvmfs)"
    )
    parser.add_argument("--at", metavar="DIR", default="/cvmfs", help="where the repository is (default: /cvmfs)")
    what = "as of 'swrepo mount'"
    parser.add_argument("-o", dest="options", action="append", default=[], metavar="OPT", help=what)
    add_access_options(parser)


def run(args: argparse.Namespace) -> int:
    from swrepo.cli import entering
    from swrepo.cli.linux import require_linux

    require_linux("cvmfs_server enter")
    return entering.enter(args)
