"""Show our machines in a cloud: role, state, addresses, image."""

from __future__ import annotations

import argparse

from swrepo.cli.clouds import add_cloud_argument
from swrepo.cli.output import write_json, write_table

EXAMPLE = "swrepo cloud status"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", metavar="NAME", help="only this deployment")
    parser.add_argument("--json", action="store_true", help="a JSON document")
    add_cloud_argument(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cloud.connection import connect
    from swrepo.cloud.description import DEPLOYMENT, ROLE
    from swrepo.cloud.machines import deployed

    found = [
        {
            "name": server.name,
            "deployment": server.metadata[DEPLOYMENT],
            "role": server.metadata.get(ROLE, ""),
            "state": server.status,
            "addresses": [str(one["addr"]) for cards in (server.addresses or {}).values() for one in cards],
            "id": server.id,
        }
        for server in deployed(connect(args.cloud), args.name)
    ]
    if args.json:
        write_json(found)
        return
    rows = [[one["name"], one["role"], one["state"], " ".join(one["addresses"])] for one in found]
    write_table(["NAME", "ROLE", "STATE", "ADDRESSES"], rows)
    if not found:
        print("nothing is launched; 'swrepo cloud launch server' begins")
