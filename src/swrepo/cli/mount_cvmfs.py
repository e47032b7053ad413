"""`mount.cvmfs`: what mount(8) starts for `mount -t cvmfs NAME DIR`, and autofs and /etc/fstab through it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from swrepo.cli.exits import as_program
from swrepo.cli.linux import require_linux
from swrepo.cli.main import Parser

PROGRAM = "mount.cvmfs"
EXAMPLE = "mount -t cvmfs dair.cvmfs.server /mnt"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return as_program(_run, PROGRAM, argv)


def _run(words: list[str]) -> int:
    args = parser().parse_args(words)
    if args.fake:
        return 0
    require_linux(PROGRAM)
    from swrepo.cli import mounting, options

    return mounting.mount_one(args, options.parse(args.options))


def parser() -> ArgumentParser:
    """What it understands."""
    found = Parser(prog=PROGRAM, description=__doc__, epilog=f"example: {EXAMPLE}", allow_abbrev=False)
    found.add_argument("target", metavar="NAME|URL", help="repository")
    found.add_argument("directory", metavar="DIR", help="where to mount it")
    found.add_argument(
        "-o", dest="options", action="append", default=[], metavar="OPTIONS", help="as of 'swrepo mount'"
    )
    for option, what in (("-r", "read-only, as always"), ("-w", ""), ("-v", ""), ("-n", ""), ("-s", "")):
        found.add_argument(option, action="store_true", help=what or "accepted from mount(8)")
    found.add_argument("-f", dest="fake", action="store_true", help="do everything but mount")
    found.set_defaults(key=[], cache=None, proxy=None, foreground=False)
    return found


if __name__ == "__main__":
    sys.exit(main())
