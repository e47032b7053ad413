"""Empty caches: every object goes, also from under mounts, which fetch again what they need."""

from __future__ import annotations

import argparse

from swrepo.cli.caches import add_cache_option, chosen
from swrepo.cli.output import size_text

EXAMPLE = """swrepo cache wipe
swrepo cache wipe --cache /tmp/cache"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_cache_option(parser)


def run(args: argparse.Namespace) -> int:
    from swrepo.cache.inventory import footprint, held
    from swrepo.cache.ledger import Ledger

    for root in chosen(args):
        count = freed = 0
        for item in held(root):
            (root / item.path).unlink(missing_ok=True)
            count, freed = count + 1, freed + footprint(item.size)
        Ledger(root).add(-freed)
        print(f"{root}: {count:,} objects were removed, {size_text(freed)}")
    return 0
