"""Make one statistics database of two of the same repository, as after it moved from one server to another."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "swrepo server merge-stats -o stats.db old/stats.db /var/spool/cvmfs/dair.cvmfs.server/stats.db"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="FILE")
    parser.add_argument("second", metavar="FILE")
    parser.add_argument(
        "-o", dest="output", default="output.db", metavar="FILE", help="a new file (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    from swrepo.publish.statistics import merge

    count = merge((Path(args.first), Path(args.second)), Path(args.output))
    print(f"{args.output}: {count:,} rows")
