"""Say whether repositories can be used as they are. Every layout that servers of CernVM-FS 2.x made can: it stays as it
is, and they can take over again.
"""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repositories_argument
from swrepo.errors import UsageError

EXAMPLE = "cvmfs_server migrate '*.example.org'"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repositories_argument(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.publish import replica_settings
    from swrepo.publish.server_conf import CREATOR_VERSION
    from swrepo.publish.settings import read

    server = server_side.layout()
    for fqrn in server_side.several(server, args.repositories):
        places = server.repository(fqrn)
        replica_settings.of_any(places)  # raises where its settings cannot be used
        made = read(places.server_conf).get("CVMFS_CREATOR_VERSION")
        layout = made.value.strip() if made else str(CREATOR_VERSION)
        if layout.isdecimal() and int(layout) > CREATOR_VERSION:
            raise UsageError(
                f"{fqrn} has the layout {layout} of a newer CernVM-FS; {CREATOR_VERSION} is the newest known here"
            )
        print(f"{fqrn}: the layout {layout} is used as it is; nothing is to be migrated")
