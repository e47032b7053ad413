"""Check a repository's catalogs, counters, tags and objects, and name each fault on a line of its own."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from swrepo.cli.arguments import add_repositories_argument
from swrepo.cli.describe import printable
from swrepo.cli.output import note, write_json
from swrepo.cli.progress import Progress
from swrepo.errors import SwrepoError, UsageError

if TYPE_CHECKING:
    from swrepo.publish.layout import ServerLayout
    from swrepo.upkeep.check import Checked, Scope

EXAMPLE = "swrepo server check -i dair.cvmfs.server"

FAULTY = 1
"""Exit code for a repository with faults, the original's."""


def configure(parser: argparse.ArgumentParser) -> None:
    add_repositories_argument(parser)
    parser.add_argument("-c", dest="no_contents", action="store_true", help="do not look for the objects of files")
    parser.add_argument("-i", dest="integrity", action="store_true", help="read every object and compare its hash")
    parser.add_argument("-t", dest="tag", default="", metavar="TAG", help="the revision of a tag")
    parser.add_argument("-s", dest="subtree", default="", metavar="PATH", help="from the nested catalog at PATH on")
    parser.add_argument("-r", dest="repair", action="store_true", help="mend the reference log, or its checksum")
    parser.add_argument(
        "-a", dest="all", action="store_true", help="all repositories that were not checked for 30 days"
    )
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> int:
    from swrepo.cli import server_side
    from swrepo.format.paths import normalise
    from swrepo.upkeep.check import Scope

    scope = Scope(args.tag, normalise(os.fsencode(args.subtree)), not args.no_contents, args.integrity)
    server = server_side.layout()
    if not args.all:
        names = server_side.several(server, args.repositories)
        return FAULTY if sum(_check(server, fqrn, scope, args).faults for fqrn in names) else 0
    if args.repositories:
        raise UsageError("-a checks all repositories; no name fits with it")
    for fqrn in _due(server):
        try:
            _check(server, fqrn, scope, args)
        except SwrepoError as error:
            note(f"swrepo server check: {fqrn}: {error}")
    return 0  # as the original's: it is run by cron, and .cvmfs_status.json has the outcome


def _due(server: ServerLayout) -> list[str]:
    """Those that were not checked for a month, or what their settings say, the one that waited longest first."""
    from datetime import UTC, datetime, timedelta

    from swrepo.publish import replica_settings
    from swrepo.publish.replica_settings import ReplicaSettings
    from swrepo.publish.storage import reading
    from swrepo.upkeep import published_status

    found = []
    for fqrn in server.repositories():
        places = server.repository(fqrn)
        wanted = replica_settings.of_any(places)
        if isinstance(wanted, ReplicaSettings) and (wanted.is_passthrough or not wanted.is_active):
            continue
        oldest = datetime.now(UTC) - timedelta(days=wanted.check_days)
        status = published_status.read(reading(places))
        last = published_status.parse_moment(str(status.get("last_check", "")))
        if last is None or last < oldest:
            found.append((last or datetime.min.replace(tzinfo=UTC), fqrn))
    return [fqrn for _, fqrn in sorted(found)]


def _check(server: ServerLayout, fqrn: str, scope: Scope, args: argparse.Namespace) -> Checked:
    from swrepo.upkeep.check import RepositoryCheck
    from swrepo.upkeep.opening import Keeper

    faults: list[dict[str, Any]] = []

    def tell(path: bytes, what: str) -> None:
        faults.append({"path": printable(path) or "/", "fault": what})
        if not args.json:
            print(f"{printable(path) or '/'}: {what}")

    if args.repair:
        from swrepo.upkeep.reflog_repair import repair

        if done := repair(Keeper(server), fqrn):
            note(f"{fqrn}: {done}")
    with Progress("checking", "entries") as progress:
        found = RepositoryCheck(Keeper(server), scope, tell, progress).run(fqrn)
    if args.json:
        counts = {"catalogs": found.catalogs, "entries": found.entries, "objects": found.objects}
        write_json({"repository": fqrn, **counts, "faults": faults})
    else:
        hashed = f", {found.objects:,} objects read" if scope.integrity else ""
        outcome = f"{found.faults:,} faults" if found.faults else "no problems found"
        print(f"{fqrn}: {found.catalogs:,} catalogs, {found.entries:,} entries{hashed}: {outcome}")
    return found
