"""Sign the whitelist again with the master key, so that clients go on believing the repository after the old date."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument
from swrepo.errors import UsageError

EXAMPLE = "swrepo server resign -d 30 dair.cvmfs.server"

DEFAULT_DAYS = 30


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-d", dest="days", type=int, default=DEFAULT_DAYS, help="for how long (default: %(default)s)")
    parser.add_argument("-f", dest="force", action="store_true", help="accepted as in CernVM-FS, without an effect")


def run(args: argparse.Namespace) -> None:
    if args.days < 1:
        raise UsageError(f"-d {args.days}: a whitelist is valid for a day at least")
    from datetime import UTC, datetime

    from swrepo.cli import server_side
    from swrepo.publish.keyring import renew_whitelist
    from swrepo.publish.storage import reading
    from swrepo.system.lock import exclusive

    server = server_side.layout()
    places = server.repository(server_side.which(server, args.repository))
    with exclusive(places.lock, f"signing the whitelist of {places.fqrn}"):
        ends = renew_whitelist(places, reading(places), datetime.now(UTC), args.days)
    print(f"{places.fqrn}: the whitelist is valid until {ends:%Y-%m-%d %H:%M} UTC")
