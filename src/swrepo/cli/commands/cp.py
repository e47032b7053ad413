"""Copy files and directories out of a repository, without a mount. Permissions are kept; with -p and -a more.

A file appears under its name when it is whole, so a copy that was interrupted is resumed with -u. To keep a directory
up to date, also where files were removed, there is 'swrepo export'.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.cli.commands import cat
from swrepo.cli.commands.export import complain, exit_code
from swrepo.cli.describe import printable
from swrepo.cli.progress import Progress
from swrepo.cli.selection import add_selection_options
from swrepo.errors import IsADirectory, UsageError

if TYPE_CHECKING:
    from swrepo.api.copying import Plan
    from swrepo.cli.opening import Opened

EXAMPLE = """swrepo cp -r http://127.0.0.1:8000/cvmfs/dair.cvmfs.server/bin ./bin --key dair.cvmfs.server.pub
swrepo cp -au dair.cvmfs.server/lib /opt/lib
swrepo cp dair.cvmfs.server/Hello -"""

_STDOUT = "-"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="+", metavar="URL/PATH", help="repository and path in it")
    parser.add_argument(
        "destination", metavar="DESTINATION", help="a new name, a directory to copy into, or - for standard output"
    )
    parser.add_argument("-r", "-R", dest="recursive", action="store_true", help="directories with all they hold")
    parser.add_argument(
        "-p", dest="preserve", action="store_true", help="keep times, and owners where the system lets us"
    )
    parser.add_argument(
        "-a", dest="archive", action="store_true", help="-r and -p, and hard links, extended attributes, special files"
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("-n", dest="no_clobber", action="store_true", help="leave what is there as it is")
    existing.add_argument(
        "-u", dest="update", action="store_true", help="leave files that have the published size and time (with -p, -a)"
    )
    add_selection_options(parser)


def run(args: argparse.Namespace) -> int:
    from swrepo.cli.opening import open_target

    if args.destination == _STDOUT:
        return _to_standard_output(args)
    if args.update and not (args.preserve or args.archive):
        raise UsageError("-u compares times, so it needs a copy that keeps them: -p or -a")
    into = Path(args.destination)
    if len(args.sources) > 1 and not into.is_dir():
        raise UsageError(f"{into} is not a directory, and several sources need one")
    code = 0
    for text in args.sources:
        with open_target(args, text) as opened, Progress("copied", "files") as progress:
            code = _copy(opened, args, into, progress) or code
    return code


def _copy(opened: Opened, args: argparse.Namespace, into: Path, progress: Progress) -> int:
    import os

    from swrepo.api.copying import Summary
    from swrepo.api.export import tree_copy
    from swrepo.client.local_files import of_this_system

    recursive = args.recursive or args.archive
    asked = opened.target.path
    start, entry = (asked, opened.revision.lookup(asked)) if recursive else opened.resolve(asked)
    if entry.is_directory and not recursive:
        raise IsADirectory(f"{printable(start) or '/'} is a directory; -r copies it with all it holds")
    summary = Summary()
    name = asked.rpartition(b"/")[2] or (opened.fqrn or "root").encode()
    why = of_this_system().objection(name) if into.is_dir() else None
    if why is not None:
        summary.left_out.append((start, why))
    else:
        place = os.path.join(os.fsencode(into), name) if into.is_dir() else os.fsencode(into)
        copy = tree_copy(opened.access, opened.revision, _plan(args), lambda size: progress.advance(size=size))
        summary = copy.run(start, place)
    complain(summary, "swrepo cp")
    return exit_code(summary)


def _plan(args: argparse.Namespace) -> Plan:
    from swrepo.api.attributes import EVERYTHING, PLAIN, PRESERVE
    from swrepo.api.copying import Existing, Plan

    keep = EVERYTHING if args.archive else PRESERVE if args.preserve else PLAIN
    existing = Existing.STAY if args.no_clobber else Existing.UPDATE if args.update else Existing.REPLACE
    return Plan(keep=keep, existing=existing)


def _to_standard_output(args: argparse.Namespace) -> int:
    if args.recursive or args.archive:
        raise UsageError("only files can be written to standard output")
    if sys.stdout.isatty() and len(args.sources) > 1:
        raise UsageError("several files on a terminal would run together; 'swrepo cat' does that")
    args.targets = args.sources
    cat.run(args)
    return 0
