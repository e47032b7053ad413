"""List a directory of a repository, without a mount."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from swrepo.cli.describe import long_line, printable, record
from swrepo.cli.output import write_json_lines
from swrepo.cli.selection import add_selection_options
from swrepo.format.dirent import Dirent
from swrepo.format.paths import basename, join

if TYPE_CHECKING:
    from swrepo.cli.opening import Opened

EXAMPLE = "swrepo ls -l http://127.0.0.1:8000/cvmfs/dair.cvmfs.server/bin --key dair.cvmfs.server.pub"

Row = tuple[bytes, Dirent]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="+", metavar="URL/PATH", help="repository and path in it")
    parser.add_argument("-l", dest="long", action="store_true", help="long lines: mode, owner, size, time")
    parser.add_argument("-n", dest="numeric", action="store_true", help="like -l, with numbers for owners")
    parser.add_argument("-a", dest="all", action="store_true", help="also names that begin with a dot")
    parser.add_argument("-d", dest="directory", action="store_true", help="the directory itself, not what it holds")
    parser.add_argument("-R", dest="recursive", action="store_true", help="all directories below")
    add_selection_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document per entry and line")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli.opening import open_target

    headed = len(args.targets) > 1 or args.recursive
    for number, text in enumerate(args.targets):
        with open_target(args, text) as opened:
            for path, rows in _directories(opened, args):
                if args.json:
                    write_json_lines(record(row_path, entry, opened.variables) for row_path, entry in rows)
                    continue
                if headed and path is not None:
                    print(f"{chr(10) if number else ''}{printable(path) or '/'}:")
                    number = 1  # noqa: PLW2901 - from now on a blank line comes first
                _print(opened, rows, args)


def _directories(opened: Opened, args: argparse.Namespace) -> Iterator[tuple[bytes | None, list[Row]]]:
    """(path of the directory, its entries) for each that is to be listed; path None for a file that was named."""
    start = opened.target.path
    entry = opened.revision.lookup(start)
    if args.directory or not entry.is_directory:
        yield None, [(start, entry)]
        return
    pending = [start]
    while pending:
        path = pending.pop()
        rows = _listing(opened, path, everything=args.all)
        yield path, rows
        if args.recursive:
            pending += [child for child, below in reversed(rows) if below.is_directory]


def _listing(opened: Opened, path: bytes, *, everything: bool) -> list[Row]:
    entries = sorted(opened.revision.listing(path), key=lambda entry: entry.name)
    return [(join(path, entry.name), entry) for entry in entries if everything or not entry.name.startswith(b".")]


def _print(opened: Opened, rows: list[Row], args: argparse.Namespace) -> None:
    for path, entry in rows:
        name = printable(basename(path)) or "/"
        long = args.long or args.numeric
        print(long_line(entry, name, opened.variables, numeric=args.numeric) if long else name)
