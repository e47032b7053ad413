"""Allow or forbid replicas of a repository."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument

EXAMPLE = "cvmfs_server alterfs -m off dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument(
        "-m", dest="replicable", choices=("on", "off"), required=True, help="whether stratum 1 servers may replicate it"
    )


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.format.wellknown import MASTER_REPLICA
    from swrepo.publish.create import REPLICABLE
    from swrepo.publish.storage import opened
    from swrepo.system.lock import exclusive

    server = server_side.layout()
    places = server.repository(server_side.which(server, args.repository))
    with exclusive(places.lock, f"changing {places.fqrn}"):
        documents = opened(places).documents
        if args.replicable == "on":
            documents.write(MASTER_REPLICA, REPLICABLE)
        else:
            documents.remove(MASTER_REPLICA)
    print(f"{places.fqrn}: replicas are {'allowed' if args.replicable == 'on' else 'refused'}")
