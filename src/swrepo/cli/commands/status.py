"""Show what is mounted: which revision, from which server, how full the cache is, what failed.

A mount that does not answer within three seconds is shown as such, with the reason as far as the kernel knows it; no
mounted directory is touched, so nothing here can hang. The exit code is 1 where a mount does not answer.
"""

from __future__ import annotations

import argparse

from swrepo.cli.linux import require_linux

EXAMPLE = """swrepo status
swrepo status --json"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> int:
    require_linux("swrepo status")
    from swrepo.cli.administration import overview
    from swrepo.cli.administration.live import live_mounts
    from swrepo.cli.places import current

    mounts = live_mounts(current())
    return overview.as_json(mounts) if args.json else overview.as_tables(mounts)
