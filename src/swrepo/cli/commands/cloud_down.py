"""Delete all of a deployment: machines, floating IPs, security groups, key pair. Names them, and asks."""

from __future__ import annotations

import argparse

from swrepo.cli.clouds import add_cloud_argument, add_deployment_argument, confirmed
from swrepo.cli.output import note

EXAMPLE = "swrepo cloud down --dry-run"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="only name what would be deleted")
    add_deployment_argument(parser)
    add_cloud_argument(parser)


def run(args: argparse.Namespace) -> int:
    from swrepo.cloud.connection import connect
    from swrepo.cloud.machines import down, remains

    connection = connect(args.cloud)
    found = remains(connection, args.name)
    lines = list(found.lines())
    if not lines:
        print(f"there is nothing of the deployment {args.name}")
        return 0
    if args.dry_run:
        print("\n".join(lines))
        return 0
    if not confirmed(f"Delete all of this in {args.cloud or 'the cloud'}?", lines, yes=args.yes):
        print("nothing was deleted")
        return 1
    down(connection, found, note)
    return 0
