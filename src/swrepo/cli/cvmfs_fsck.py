"""`cvmfs_fsck`: the original's check of a cache, with its options, and its exit codes, which scripts know."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from swrepo.cli.exits import as_program
from swrepo.cli.main import Parser, new_parser
from swrepo.errors import SwrepoError, UsageError
from swrepo.system.loading import loaded

PROGRAM = "cvmfs_fsck"
EXAMPLE = """cvmfs_fsck /var/lib/cvmfs/shared
cvmfs_fsck -p -j 8 /var/lib/cvmfs/shared"""

FIXED, UNFIXED, OPERATIONAL, USAGE = 1, 4, 8, 16
"""Exit codes: what was damaged is removed; it is still there; the check could not be made; the words make no sense."""

_DESCRIPTION = """Check every object in a cache directory. What is damaged is named, and with -p removed: whoever needs
it fetches it again. The cache may be in use. Exit codes: 0 all is well, 1 damage was removed, 4 damage is left, 8 the
check could not be made, 16 wrong options."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return as_program(_run, PROGRAM, argv)


def parser() -> Parser:
    """What it understands."""
    found = new_parser(PROGRAM, _DESCRIPTION, EXAMPLE)
    found.add_argument("cache", metavar="DIR", help="the cache, such as /var/lib/cvmfs/shared")
    found.add_argument("-v", dest="verbose", action="store_true", help="name each object that is good, too")
    found.add_argument("-p", dest="mend", action="store_true", help="remove what is damaged")
    found.add_argument("-f", dest="rebuild", action="store_true", help="accepted: there is no index to be made again")
    found.add_argument("-j", dest="jobs", type=int, default=1, metavar="N", help="files at a time (default: 1)")
    return found


def _run(words: list[str]) -> int:
    try:
        args = parser().parse_args(words)
        if args.jobs < 1:
            raise UsageError(f"{PROGRAM}: -j needs a number from 1 up")
    except UsageError as failure:
        print(failure, file=sys.stderr)
        return USAGE
    loaded()
    root = Path(args.cache)
    if not root.is_dir() or not os.access(root, os.R_OK | os.X_OK):
        print(f"{PROGRAM}: {root} is no directory that this user can read", file=sys.stderr)
        return OPERATIONAL
    try:
        return _check(root, args)
    except SwrepoError as failure:
        print(f"{PROGRAM}: {failure}", file=sys.stderr)
        return OPERATIONAL


def _check(root: Path, args: argparse.Namespace) -> int:
    from swrepo.cache.audit import audit

    found = audit(root, jobs=args.jobs, remove=args.mend, told=_tell if args.verbose else None)
    for path in found.damaged:
        print(f"{root / path} is damaged{', removed' if args.mend else ''}")
    total = found.good + found.unknown + len(found.damaged)
    print(f"Verified {total} files, {len(found.damaged)} damaged, {found.unknown} that nothing is known of")
    if not found.damaged:
        return 0
    if args.mend:
        return FIXED
    print(f"{PROGRAM} -p removes what is damaged")
    return UNFIXED


def _tell(path: str, state: str) -> None:
    print(f"{path} {state}")


if __name__ == "__main__":
    sys.exit(main())
