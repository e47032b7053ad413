"""`cvmfs_swissknife graft` and `notify`: what people call of CernVM-FS's low-level tool; the rest is not there."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from swrepo.cli.exits import as_program
from swrepo.cli.main import Entry, dispatch

PROGRAM = "cvmfs_swissknife"
COMMANDS = {
    "graft": Entry("make files that are published by hash and size", "server_graft"),
    "notify": Entry("announce a repository's newest revision, or hear of it", "server_notify"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return as_program(lambda words: dispatch(PROGRAM, COMMANDS, words), PROGRAM, argv)


if __name__ == "__main__":
    sys.exit(main())
