"""Show a repository's state: newest revision, size, keys, and until when clients believe it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.output import note, size_text, write_json

if TYPE_CHECKING:
    from swrepo.publish.layout import RepositoryPlaces

EXAMPLE = "swrepo server info dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    found = _record(args.repository)
    if args.json:
        write_json(found)
        return
    found["size"] = size_text(found["size"])
    for alarm in found.pop("alarms"):
        note(f"ALARM: {alarm}")
    for name, value in found.items():
        print(f"{name.replace('_', ' ') + ':':<17} {value}")


def _record(name: str | None) -> dict[str, Any]:
    from datetime import UTC, datetime

    from swrepo.cli import server_side
    from swrepo.cli.published import state
    from swrepo.publish.key_report import whitelist_troubles

    server = server_side.layout()
    places = server.repository(server_side.which(server, name))
    found = state(places)
    counters, manifest = found.counters(), found.manifest
    return {
        "repository": found.places.fqrn,
        "revision": manifest.revision,
        "published": server_side.moment(manifest.timestamp),
        "root_catalog": manifest.root_catalog.text,
        "files": counters.regular,
        "directories": counters.dir,
        "size": counters.file_size,
        "catalogs": counters.nested + 1,
        "time_to_live": manifest.ttl,
        "trusted": found.refusal or "yes",
        "alarms": list(whitelist_troubles(found.places.fqrn, found.whitelist, datetime.now(UTC))),
        "whitelist_ends": found.whitelist.expires.isoformat(),
        **_nature(places),
        "storage": places.place,
    }


def _nature(places: RepositoryPlaces) -> dict[str, Any]:
    """What is known of what is published here, and of a copy."""
    from swrepo.publish import replica_settings
    from swrepo.publish.storage import reading
    from swrepo.upkeep import published_status

    if not replica_settings.is_replica(places):
        return {"type": "stratum0", "work_tree": str(places.worktree), "public_key": str(places.keys.public)}
    wanted = replica_settings.load(places)
    return {
        "type": replica_settings.STRATUM1,
        "copy_of": f"{wanted.fqrn} at {wanted.stratum0}",
        "clients_use": wanted.stratum1,
        "last_snapshot": published_status.read(reading(places)).get("last_snapshot", "never"),
        "public_key": ":".join(map(str, wanted.keys)),
    }
