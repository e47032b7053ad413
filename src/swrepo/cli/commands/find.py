"""Search a repository, without a mount: `find` with its most used tests. All tests that are given must hold."""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from swrepo.cli.describe import long_line, printable, record
from swrepo.cli.output import write_json_lines
from swrepo.cli.selection import add_selection_options
from swrepo.errors import UsageError
from swrepo.format.dirent import Dirent
from swrepo.format.paths import basename
from swrepo.repository.status import status

if TYPE_CHECKING:
    from swrepo.cli.opening import Opened

EXAMPLE = "swrepo find http://127.0.0.1:8000/cvmfs/dair.cvmfs.server -name '*.py' -type f -ls"

DASHED = ("-name", "-iname", "-path", "-size")
"""Options whose value may begin with a dash."""

_TYPES = {
    "f": stat.S_IFREG,
    "d": stat.S_IFDIR,
    "l": stat.S_IFLNK,
    "p": stat.S_IFIFO,
    "s": stat.S_IFSOCK,
    "c": stat.S_IFCHR,
    "b": stat.S_IFBLK,
}
_SIZE = re.compile(r"([+-]?)([0-9]+)([ckMG]?)")
_UNITS = {"": 512, "c": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}

Test = Callable[[bytes, Dirent], bool]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="URL/PATH", help="repository and path to begin at")
    parser.add_argument("-name", metavar="GLOB", help="the last component matches, as in a shell")
    parser.add_argument("-iname", metavar="GLOB", help="the same, whatever the case")
    parser.add_argument("-path", metavar="GLOB", help="the whole path in the repository matches")
    parser.add_argument("-type", metavar="TYPES", help="one of f d l p s c b, or several with commas")
    parser.add_argument(
        "-size", metavar="[+-]N[ckMG]", help="more (+), less (-) or just N units (512 bytes without one)"
    )
    parser.add_argument("-maxdepth", type=int, metavar="N", help="go no deeper than N levels")
    parser.add_argument("-mindepth", type=int, metavar="N", default=0, help="leave out the first N levels")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("-ls", action="store_true", help="long lines")
    how.add_argument("-print0", action="store_true", help="raw paths, a zero byte after each")
    how.add_argument("--json", action="store_true", help="one JSON document per line")
    add_selection_options(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cli.opening import open_target

    tests = list(_tests(args))
    with open_target(args, args.target) as opened:
        found = ((path, entry) for path, entry in _within(opened, args) if all(test(path, entry) for test in tests))
        if args.json:
            write_json_lines(record(path, entry, opened.variables) for path, entry in found)
            return
        for path, entry in found:
            if args.print0:
                sys.stdout.buffer.write((path or b"/") + b"\0")
            else:
                name = printable(path) or "/"
                print(long_line(entry, name, opened.variables) if args.ls else name)


def _within(opened: Opened, args: argparse.Namespace) -> Iterator[tuple[bytes, Dirent]]:
    """What lies between -mindepth and -maxdepth."""
    from swrepo.repository.walk import walk

    start = opened.target.path
    if args.maxdepth is None:
        for path, entry in walk(opened.revision, start):
            if path.count(b"/") - start.count(b"/") >= args.mindepth:
                yield path, entry
        return
    pending = [(0, start, opened.revision.lookup(start))]
    while pending:
        depth, path, entry = pending.pop()
        if depth >= args.mindepth:
            yield path, entry
        if entry.is_directory and depth < args.maxdepth:
            below = sorted(opened.revision.listing(path), key=lambda child: child.name, reverse=True)
            pending += [(depth + 1, path + b"/" + child.name, child) for child in below]


def _tests(args: argparse.Namespace) -> Iterator[Test]:
    if args.name is not None:
        yield _glob(args.name, basename, re.NOFLAG)
    if args.iname is not None:
        yield _glob(args.iname, basename, re.IGNORECASE)
    if args.path is not None:
        yield _glob(args.path, bytes, re.NOFLAG)
    if args.type is not None:
        wanted = _types(args.type)
        yield lambda _path, entry: stat.S_IFMT(entry.mode) in wanted
    if args.size is not None:
        yield _size(args.size)


def _glob(pattern: str, part: Callable[[bytes], bytes], flags: re.RegexFlag) -> Test:
    expression = re.compile(fnmatch.translate(os.fsencode(pattern).decode("latin-1")).encode("latin-1"), flags)
    return lambda path, _entry: expression.match(part(path)) is not None


def _types(text: str) -> set[int]:
    letters = text.split(",")
    if not set(letters) <= set(_TYPES):
        raise UsageError(f"-type {text}: the types are {' '.join(_TYPES)}")
    return {_TYPES[letter] for letter in letters}


def _size(text: str) -> Test:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(f"-size {text}: write a number with a unit, as in +10M (c bytes, k, M, G)")
    sign, number, unit = match[1], int(match[2]), _UNITS[match[3]]

    def holds(_path: bytes, entry: Dirent) -> bool:
        units = -(-status(entry, {}).size // unit)
        return units > number if sign == "+" else units < number if sign == "-" else units == number

    return holds
