"""Print how often this machine was started, and how long it ran and was used, as OpenMetrics. Counted by a timer."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "swrepo machine usage"

_CVMFS = "/cvmfs/"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="the machine's file system")
    parser.add_argument("--count", action="store_true", help="count now, and keep it: what the timer does")
    parser.add_argument("--json", action="store_true", help="as JSON, times in seconds")


def run(args: argparse.Namespace) -> None:
    import json

    from swrepo.system import usage
    from swrepo.system.openmetrics import Exposition

    found = usage.load(args.root) or usage.Usage()
    if args.count:
        boot, age = usage.now(args.root)
        found = found.at(boot, age, in_use=usage.has_user(args.root / "proc", _CVMFS))
        usage.keep(args.root, found)
        return
    if args.json:
        print(json.dumps({"boots": found.boots, "up": found.up, "used": found.used}))
        return
    text = Exposition()
    text.of_usage(found.boots, found.up, found.used)
    print(text.text, end="")
