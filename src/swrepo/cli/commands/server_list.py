"""List the repositories of this server, those that are published here (stratum0) and copies (stratum1)."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from swrepo.cli.output import write_json

if TYPE_CHECKING:
    from swrepo.publish.layout import RepositoryPlaces

EXAMPLE = "swrepo server list"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side

    server = server_side.layout()
    names = server.repositories()
    if args.json:
        write_json([_record(server.repository(name)) for name in names])
        return
    for name in names:
        found = _record(server.repository(name))
        kind = "local" if server.repository(name).is_local else "S3"
        alias = f" -> {found['repository']}" if found.get("repository", name) != name else ""
        print(f"{name} ({found['type']} / {kind}){alias}")


def _record(places: RepositoryPlaces) -> dict[str, str]:
    from swrepo.publish import replica_settings

    if not replica_settings.is_replica(places):
        return {"name": places.fqrn, "type": "stratum0", "storage": places.place}
    found = replica_settings.load(places)
    return {
        "name": places.fqrn,
        "type": replica_settings.STRATUM1,
        "storage": places.place,
        "repository": found.fqrn,
        "stratum0": found.stratum0,
    }
