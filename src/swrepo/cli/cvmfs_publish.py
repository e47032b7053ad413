"""`cvmfs_publish`: CernVM-FS's newer name for a part of `cvmfs_server`, with two small tools of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from swrepo.cli.cvmfs_server import CODES
from swrepo.cli.exits import as_program
from swrepo.cli.main import COMMANDS as ALL
from swrepo.cli.main import Entry, dispatch

PROGRAM = "cvmfs_publish"

_SHARED = ("mkfs", "transaction", "abort", "enter", "info", "diff")
_ALGORITHM = "shake128"
"""What it makes repositories with where nothing is said; cvmfs_server takes SHA-1."""


def commands() -> dict[str, Entry]:
    """By its names for them."""
    entries = ALL["server"].entries or {}
    return {
        **{name: entries[name] for name in _SHARED},
        "commit": Entry("publish what was changed, in a transaction or a shell of 'enter'", entries["publish"].module),
        "hash": Entry("hash a string or standard input", "tool_hash"),
        "zpipe": Entry("compress or decompress standard input as objects are", "tool_zpipe"),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return as_program(_run, PROGRAM, argv, CODES)


def _run(words: list[str]) -> int:
    if words[:1] == ["help"] and len(words) == 2:
        words = [words[1], "--help"]
    if words[:1] == ["mkfs"] and not any(word.startswith("-a") for word in words):
        words[1:1] = ["-a", _ALGORITHM]
    return dispatch(PROGRAM, commands(), words)


if __name__ == "__main__":
    sys.exit(main())
