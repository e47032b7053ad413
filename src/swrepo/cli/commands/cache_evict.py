"""Let caches go of what was not used for the longest time, until they hold no more than so many megabytes.

What mounts use at the moment stays. The caches may be in use: what is needed again is fetched again.
"""

from __future__ import annotations

import argparse

from swrepo.cli.caches import add_cache_option, chosen
from swrepo.cli.output import size_text
from swrepo.errors import UsageError

EXAMPLE = """swrepo cache evict 10000
swrepo cache evict 0 --cache /var/lib/cvmfs/shared"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("megabytes", type=int, metavar="MB", help="what may be left in each cache")
    add_cache_option(parser)


def run(args: argparse.Namespace) -> int:
    from swrepo.cache.quota import MEGABYTE, Quota

    if args.megabytes < 0:
        raise UsageError("swrepo cache evict needs a number of megabytes, from 0 up")
    for root in chosen(args):
        quota = Quota(root, max(1, args.megabytes) * MEGABYTE)
        try:
            quota.clean(down_to=args.megabytes * MEGABYTE)
            counters = quota.counters
        finally:
            quota.close()
        print(f"{root}: {counters.evicted:,} objects were evicted; {size_text(counters.used)} are left")
    return 0
