"""`cvmfs_server`: the commands of CernVM-FS's server that exist here, with its options; the others say so."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence

from swrepo.cli.exits import as_program
from swrepo.cli.main import COMMANDS, Entry, dispatch
from swrepo.errors import Busy, InTransaction, NotInTransaction, TemplateRefused, UsageError

PROGRAM = "cvmfs_server"

CODES = {
    InTransaction.exit_code: errno.EEXIST,
    NotInTransaction.exit_code: errno.EINVAL,
    Busy.exit_code: errno.EBUSY,
    TemplateRefused.exit_code: errno.EINVAL,
}
"""Exit codes that scripts of CernVM-FS's users ask for."""

_INSTEAD = {
    "health-check": "'swrepo doctor' says what is wrong on this machine, and what mends it",
    "serve": "'swrepo serve' serves the repositories of this server",
}
"""Names that the original has, or that people try, and what to do in their place."""


def commands() -> dict[str, Entry]:
    """Those that exist, by the names that the original has for them."""
    entries = COMMANDS["server"].entries or {}
    return {**entries, "lstags": entries["tag"], "list-tags": entries["tag"]}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return as_program(_run, PROGRAM, argv, CODES)


def _run(words: list[str]) -> int:
    if words and words[0] in _INSTEAD:
        raise UsageError(f"{PROGRAM} {words[0]} is not there: {_INSTEAD[words[0]]}")
    return dispatch(PROGRAM, commands(), words)


if __name__ == "__main__":
    sys.exit(main())
