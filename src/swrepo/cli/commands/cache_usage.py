"""Show how much caches hold: objects, bytes, how much of it mounts use now, and the limit."""

from __future__ import annotations

import argparse

from swrepo.cli.caches import add_cache_option, chosen
from swrepo.cli.output import size_text, write_json, write_table

EXAMPLE = """swrepo cache usage
swrepo cache usage --cache /var/lib/cvmfs/shared --json"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_cache_option(parser)
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> int:
    from swrepo.cache.inventory import footprint, held
    from swrepo.cache.pins import is_pinned
    from swrepo.cli.configured import general
    from swrepo.cli.places import current

    limit = general(current()).quota_limit
    found = []
    for root in chosen(args):
        objects = list(held(root))
        pinned = sum(footprint(item.size) for item in objects if is_pinned(root / item.path))
        used = sum(footprint(item.size) for item in objects)
        found.append({"cache": str(root), "objects": len(objects), "bytes": used, "pinned": pinned, "limit": limit})
    if args.json:
        write_json(found)
        return 0
    rows = [
        [str(item["cache"]), f"{item['objects']:,}", *(_size(item[name]) for name in ("bytes", "pinned", "limit"))]
        for item in found
    ]
    write_table(("CACHE", "OBJECTS", "USED", "PINNED", "LIMIT"), rows)
    return 0


def _size(value: object) -> str:
    return size_text(value) if isinstance(value, int) else "none"
