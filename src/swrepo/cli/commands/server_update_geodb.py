"""Fetch or link the database of where addresses are, by which 'swrepo serve' tells clients which servers are near.

`CVMFS_GEO_DB_FILE` in /etc/cvmfs/server.local names a file that is here (any MaxMind database of places; NONE: none is
wanted). Without it, GeoLite2-City is fetched from MaxMind with `CVMFS_GEO_ACCOUNT_ID` and `CVMFS_GEO_LICENSE_KEY`.
'snapshot' does that by itself in time (-l).
"""

from __future__ import annotations

import argparse

EXAMPLE = "cvmfs_server update-geodb"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-l",
        dest="lazily",
        action="store_true",
        help="only where it is old, and at the time that CVMFS_UPDATEGEO_* say",
    )


def run(args: argparse.Namespace) -> None:
    from datetime import datetime

    from swrepo.cli import server_side
    from swrepo.publish.server_list import update_list
    from swrepo.replica.geo_update import load, update

    server = server_side.layout()
    print(update(server, load(server), datetime.now().astimezone(), lazily=args.lazily))
    if server.served.is_dir():
        update_list(server)
