"""List the objects of caches, those first that are evicted first: size, time of the last use, name."""

from __future__ import annotations

import argparse
import time

from swrepo.cli.caches import add_cache_option, chosen
from swrepo.cli.output import write_json_lines

EXAMPLE = """swrepo cache list
swrepo cache list --json | jq .size"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_cache_option(parser)
    parser.add_argument("--json", action="store_true", help="a JSON document for each, on a line")


def run(args: argparse.Namespace) -> int:
    from swrepo.cache.inventory import held

    for root in chosen(args):
        objects = sorted(held(root))
        if args.json:
            write_json_lines({"path": str(root / item.path), "size": item.size, "used": item.used} for item in objects)
            continue
        for item in objects:
            used = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.used))
            print(f"{item.size:>12} {used} {root / item.path}")
    return 0
