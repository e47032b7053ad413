"""`--changed` and `--changed-from`: the paths that a publisher says have changed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.errors import NotFound, UsageError
from swrepo.format.paths import normalise

if TYPE_CHECKING:
    from swrepo.publish.changed import Touched


def add_changed_arguments(parser: argparse.ArgumentParser) -> None:
    """The two options."""
    parser.add_argument(
        "--changed",
        nargs="+",
        action="extend",
        metavar="PATH",
        help="compare only these paths and what is below them, and take all others as unchanged: paths in the tree, "
        "or of the repository ('/lib/x')",
    )
    parser.add_argument(
        "--changed-from",
        dest="changed_from",
        metavar="FILE",
        help="the same, with paths from a file, one a line or ended by NUL bytes; '-' is standard input",
    )


def touched_by(args: argparse.Namespace, tree: Path) -> Touched | None:
    """What was named; None where nothing was, so that everything is compared. NotFound for a file that is missing."""
    if args.changed is None and args.changed_from is None:
        return None
    from swrepo.publish.changed import Touched

    raw = [os.fsencode(path) for path in args.changed or ()]
    if args.changed_from is not None:
        raw += _lines(_read(args.changed_from))
    return Touched(frozenset(_in_repository(raw, os.fsencode(os.path.abspath(tree)))))


def _in_repository(paths: Iterable[bytes], top: bytes) -> Iterable[bytes]:
    for path in paths:
        inside = path == top or path.startswith(top.rstrip(b"/") + b"/")
        yield normalise(path[len(top) :] if inside else path)


def _lines(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\0" if b"\0" in data else b"\n") if line]


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"the list of changed paths {name} does not exist") from error
    except OSError as error:
        raise UsageError(f"cannot read the list of changed paths {name}: {error.strerror}") from error
