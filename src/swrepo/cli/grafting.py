"""`swrepo server graft` from its command line to markers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from swrepo.cli.output import size_text
from swrepo.cli.progress import Progress
from swrepo.errors import NotFound, UsageError
from swrepo.format.graft import Graft
from swrepo.publish.grafting import Grafter, pairs, put
from swrepo.publish.settings import ALGORITHMS, COMPRESSIONS

_STANDARD_INPUT = "-"


def graft(args: argparse.Namespace) -> None:
    """Make the markers, or print what they would hold."""
    source = args.given or args.input
    if source is None or (args.given and args.input):
        raise UsageError("which file is to be grafted? One FILE, or -i FILE")
    if args.chunk < 0:
        raise UsageError(f"-c {args.chunk}: a chunk has at least 1 MB; 0 makes none")
    target = Path(args.output) if args.output else None
    with Progress("grafting", "files") as progress:
        grafter = Grafter(
            ALGORITHMS[args.algorithm],
            COMPRESSIONS[args.compression],
            args.chunk << 20,
            args.whole,
            lambda size: progress.advance(0, size),
        )
        if source == _STANDARD_INPUT:
            _from_standard_input(grafter, target)
        else:
            _files(grafter, Path(source), target, progress, verbose=args.verbose)


def _from_standard_input(grafter: Grafter, target: Path | None) -> None:
    if target is not None and target.is_dir():
        raise UsageError(f"{target} is a directory; what comes from standard input needs a name")
    made = grafter.graft(sys.stdin.buffer)
    _keep(made, target)


def _files(grafter: Grafter, source: Path, target: Path | None, progress: Progress, *, verbose: bool) -> None:
    if not source.exists():
        raise NotFound(f"{source} does not exist")
    count = total = 0
    for found, where in pairs(source, target):
        if where is None:
            if source.is_dir():
                print(f"# {found}")
            with found.open("rb") as file:
                made = grafter.graft(file)
            _keep(made, None)
        else:
            made = grafter.graft_file(found, where)
            if verbose:
                print(f"{found} -> {where}")
        progress.advance()
        count, total = count + 1, total + made.size
    if target is not None:
        print(f"{count:,} {'file' if count == 1 else 'files'}, {size_text(total)}: publish {target} now")


def _keep(made: Graft, target: Path | None) -> None:
    if target is None:
        sys.stdout.write(made.encode().decode())
    else:
        put(made, target)
