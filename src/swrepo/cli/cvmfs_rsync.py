"""`cvmfs_rsync`: rsync into a repository's directory that leaves the files which begin nested catalogs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from swrepo.cli.exits import guarded
from swrepo.errors import SwrepoError

PROGRAM = "cvmfs_rsync"

_MARKERS = (".cvmfscatalog", ".cvmfsautocatalog")

_USAGE = f"""\
usage: {PROGRAM} [OPTION OF rsync]... SOURCE... DESTINATION

rsync into a repository. With --delete, the files {" and ".join(_MARKERS)}
stay, but for those of directories that the source no longer has.

EXAMPLE: {PROGRAM} -a --delete build/ /cvmfs/sw.example.org/release/"""


def main(argv: Sequence[str] | None = None) -> int:
    """Become rsync; an exit code only where it cannot be run."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["-h"], ["--help"]):
        print(_USAGE)
        return 0
    if len(words) < 2:
        print(_USAGE, file=sys.stderr)
        return 1
    return guarded(lambda: _become(words), PROGRAM)


def _become(words: list[str]) -> int:
    # P: never deleted at the destination; p: but together with a directory that goes as a whole.
    filters = [f"--filter=Pp {name}" for name in _MARKERS]
    try:
        os.execvp("rsync", ["rsync", *filters, *words])  # noqa: S606 - that is what it is for
    except FileNotFoundError as error:
        raise SwrepoError("rsync is not installed on this machine: install the package rsync") from error


if __name__ == "__main__":
    sys.exit(main())
