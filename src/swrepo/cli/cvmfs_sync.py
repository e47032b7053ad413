"""`cvmfs-sync`: what publishing would change, its contents stored ahead; the same as `swrepo server sync`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from swrepo.cli.exits import as_program
from swrepo.cli.main import load, run_command

PROGRAM = "cvmfs-sync"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return as_program(lambda words: run_command(PROGRAM, load("server_sync"), words), PROGRAM, argv)


if __name__ == "__main__":
    sys.exit(main())
