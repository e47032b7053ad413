"""Remove the objects that no kept revision reaches; the newest, those with tags and those of the last days are kept."""

from __future__ import annotations

import argparse
import contextlib
from typing import IO, TYPE_CHECKING, Any

from swrepo.cli.output import note, size_text, write_json
from swrepo.cli.progress import Progress
from swrepo.errors import SwrepoError, UsageError

if TYPE_CHECKING:
    from swrepo.publish.layout import ServerLayout
    from swrepo.upkeep.garbage import Collected, Keep

EXAMPLE = "swrepo server gc -r 0 -d dair.cvmfs.server   # what would go if only the newest revision and tags stayed"

_DEFAULT_SPAN = "3 days ago"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repositories", nargs="*", metavar="NAME", help="default: as for the other commands")
    parser.add_argument("-r", dest="revisions", type=int, metavar="N", help="keep N revisions before the newest")
    parser.add_argument("-t", dest="since", metavar="DATE", help=f"keep those since DATE (default: {_DEFAULT_SPAN})")
    parser.add_argument("-d", dest="dry_run", action="store_true", help="only tell what would be removed")
    parser.add_argument("-l", dest="list", action="store_true", help="list the objects")
    parser.add_argument("-L", dest="log", metavar="FILE", help="add the names of removed objects to FILE")
    parser.add_argument("-f", dest="force", action="store_true", help="do not ask")
    parser.add_argument("-a", dest="all", action="store_true", help="every repository that is garbage collectable")
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> int:
    from swrepo.cli import server_side

    server = server_side.layout()
    names = _names(server, args)
    keep = _keep(args)
    if not (args.dry_run or args.force) and not _agreed(names, args):
        return 1
    records, code = [], 0
    for fqrn in names:
        try:
            found = _collect(server, fqrn, keep, args)
        except SwrepoError as error:
            if not args.all:
                raise
            note(f"swrepo server gc: {fqrn}: {error}")
            code = error.exit_code
            continue
        records.append(_record(fqrn, found, dry_run=args.dry_run))
        if not args.json:
            done = "would remove" if args.dry_run else "removed"
            freed = f"{found.objects:,} objects, {size_text(found.size)}"
            print(f"{fqrn}: {done} {freed}, of {found.swept_revisions:,} revisions that are not kept")
    if args.json:
        write_json(records)
    return code


def _names(server: ServerLayout, args: argparse.Namespace) -> list[str]:
    from swrepo.cli import server_side
    from swrepo.upkeep.collectable import may_collect

    if not args.all:
        return server_side.several(server, args.repositories)
    known = server_side.several(server, args.repositories) if args.repositories else server.repositories()
    return [name for name in known if may_collect(server.repository(name))]


def _keep(args: argparse.Namespace) -> Keep:
    from datetime import datetime

    from swrepo.config import moments
    from swrepo.upkeep.garbage import Keep

    if args.revisions is not None and args.since is not None:
        raise UsageError("-r and -t: revisions are kept by number or by time, not by both")
    if args.revisions is not None:
        if args.revisions < 0:
            raise UsageError(f"-r {args.revisions}: a number of revisions cannot be negative")
        return Keep(revisions=args.revisions)
    since = moments.parse(args.since or _DEFAULT_SPAN, datetime.now().astimezone())
    return Keep(since=int(since.timestamp()))


def _agreed(names: list[str], args: argparse.Namespace) -> bool:
    from swrepo.cli.confirming import confirm

    kept = f"{args.revisions} revisions before it" if args.revisions is not None else args.since or _DEFAULT_SPAN
    by = "kept before the newest" if args.revisions is not None else "kept since"
    print(f"repositories: {' '.join(names)}\n{by}: {kept}")
    return confirm("remove for ever what only older revisions without tags have")


def _collect(server: ServerLayout, fqrn: str, keep: Keep, args: argparse.Namespace) -> Collected:
    from datetime import UTC, datetime

    from swrepo.cli.recording import record_collection
    from swrepo.format.object_id import ObjectId
    from swrepo.publish import replica_settings
    from swrepo.upkeep.garbage import Collection
    from swrepo.upkeep.opening import Keeper

    log_name = args.log or replica_settings.of_any(server.repository(fqrn)).gc_deletion_log
    with contextlib.ExitStack() as stack:
        log: IO[str] | None = stack.enter_context(open(log_name, "a", encoding="utf-8")) if log_name else None

        def deleted(name: ObjectId) -> None:
            if log is not None:
                print(name, file=log)
            if args.list and not args.json:
                print(name)

        progress = stack.enter_context(Progress("collecting", "objects"))
        started = datetime.now(UTC)
        found = Collection(Keeper(server), keep, progress, deleted, args.dry_run).run(fqrn)
    if not args.dry_run:
        record_collection(server.repository(fqrn), _row(found), started)
    return found


def _row(found: Collected) -> dict[str, int]:
    return {
        "n_preserved_catalogs": found.kept_catalogs,
        "n_condemned_catalogs": found.swept_catalogs,
        "n_condemned_objects": found.objects,
        "sz_condemned_bytes": found.size,
        "n_duplicate_delete_requests": 0,
    }


def _record(fqrn: str, found: Collected, *, dry_run: bool) -> dict[str, Any]:
    return {
        "repository": fqrn,
        "dry_run": dry_run,
        "kept_catalogs": found.kept_catalogs,
        "swept_revisions": found.swept_revisions,
        "swept_catalogs": found.swept_catalogs,
        "objects": found.objects,
        "bytes": found.size,
    }
