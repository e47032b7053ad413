"""`cvmfs_swissknife`: what people call of CernVM-FS's low-level tool; of the rest it says which command does it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from swrepo.cli.exits import as_program
from swrepo.cli.main import Entry, dispatch
from swrepo.errors import UsageError

PROGRAM = "cvmfs_swissknife"
COMMANDS = {
    "graft": Entry("make files that are published by hash and size", "server_graft"),
    "notify": Entry("announce a repository's newest revision, or hear of it", "server_notify"),
    "hash": Entry("hash a string or standard input", "tool_hash"),
    "zpipe": Entry("compress or decompress standard input as objects are", "tool_zpipe"),
}
_INSTEAD = {
    "check": "cvmfs_server check NAME",
    "scrub": "cvmfs_server check -i NAME",
    "create": "cvmfs_server mkfs NAME",
    "sync": "cvmfs_server publish NAME",
    "dirtab": "cvmfs_server publish NAME",
    "sign": "cvmfs_server resign -p NAME",
    "ingest": "cvmfs_server ingest -t FILE -b DIR NAME",
    "pull": "cvmfs_server snapshot NAME",
    "gc": "cvmfs_server gc NAME",
    "diff": "cvmfs_server diff NAME",
    "migrate": "cvmfs_server migrate NAME",
    "info": "cvmfs_server info NAME, or 'swrepo stat URL' for any",
    "lsrepo": "cvmfs_server list-catalogs NAME",
    "tag_list": "cvmfs_server tag -l -x NAME",
    "tag_info": "cvmfs_server tag -i TAG -x NAME",
    "tag_edit": "cvmfs_server tag -a TAG NAME",
    "tag_rollback": "cvmfs_server rollback -t TAG NAME",
    "tag_empty_bin": "cvmfs_server gc NAME",
    "list_reflog": "cvmfs_server check NAME",
    "reconstruct_reflog": "cvmfs_server check -r NAME",
    "filestats": "cvmfs_server info --json NAME",
}
"""The names of CernVM-FS's own commands; their options are those of the scripts that call them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return as_program(_run, PROGRAM, argv)


def _run(words: list[str]) -> int:
    if words and words[0] in _INSTEAD:
        raise UsageError(f"{PROGRAM} {words[0]} is not there: '{_INSTEAD[words[0]]}' does that")
    return dispatch(PROGRAM, COMMANDS, words)


if __name__ == "__main__":
    sys.exit(main())
