"""Which caches `swrepo cache` is about."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.places import Places, current
from swrepo.errors import UsageError


def add_cache_option(parser: argparse.ArgumentParser) -> None:
    """`--cache`."""
    parser.add_argument("--cache", metavar="DIR", help="this one (default: all caches that are configured)")


def chosen(args: argparse.Namespace, places: Places | None = None) -> list[Path]:
    """Those that exist. UsageError where one is named that does not."""
    from swrepo.cli.administration.tending import cache_directories

    if args.cache is not None:
        if not Path(args.cache).is_dir():
            raise UsageError(f"there is no cache at {args.cache}")
        return [Path(args.cache)]
    return [path for path in cache_directories(places or current()) if path.is_dir()]
