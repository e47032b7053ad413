"""Sign the whitelists again that end within some days, and leave the others: what a timer runs every day.

One that cannot be renewed is named on standard error, does not keep the others from it, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swrepo.cli.output import note, write_json
from swrepo.errors import SwrepoError, UsageError

if TYPE_CHECKING:
    from swrepo.publish.layout import RepositoryPlaces
    from swrepo.publish.renewal import Renewer

EXAMPLE = """
swrepo server renew --all
swrepo server renew --within 20 -d 30 dair.cvmfs.server
"""

_WITHIN = 15


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "repositories", nargs="*", metavar="NAME", help="default: that of the work tree, or the only one"
    )
    parser.add_argument("--all", action="store_true", help="all repositories of this server")
    parser.add_argument("--within", type=int, default=_WITHIN, metavar="DAYS", help="what ends by then (default: 15)")
    parser.add_argument("-d", dest="days", type=int, help="for how long they are signed (default: 30)")
    parser.add_argument("-k", dest="master", metavar="DIR|FILE", help="where the master keys are, if elsewhere")
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> int:
    from swrepo.cli import server_side
    from swrepo.cli.cards import smart_card
    from swrepo.publish.keyring import WHITELIST_DAYS
    from swrepo.publish.renewal import Renewer

    days = WHITELIST_DAYS if args.days is None else args.days
    if days <= args.within:
        raise UsageError(f"--within {args.within}: a whitelist of {days} days would be renewed each time")
    server = server_side.layout()
    renewer = Renewer(args.days, Path(args.master) if args.master else None, smart_card(server))
    names = server_side.published(server) if args.all else server_side.several(server, args.repositories)
    records = [_renewed(server.repository(name), renewer, args.within) for name in names]
    if args.json:
        write_json(records)
    for record in records:
        if record["error"]:
            note(f"swrepo server renew: {record['repository']}: {record['error']}")
        elif not args.json:
            done = "signed again, valid" if record["renewed"] else "still valid"
            print(f"{record['repository']}: {done} until {record['ends']:%Y-%m-%d %H:%M} UTC")
    return SwrepoError.exit_code if any(record["error"] for record in records) else 0


def _renewed(places: RepositoryPlaces, renewer: Renewer, within: int) -> dict[str, Any]:
    from datetime import timedelta

    from swrepo.publish.renewal import read_whitelist
    from swrepo.publish.storage import reading

    record: dict[str, Any] = {"repository": places.fqrn, "renewed": False, "ends": None, "error": ""}
    try:
        found = read_whitelist(reading(places))
        record["ends"] = found and found.expires
        if found is None or found.expires < renewer.now + timedelta(days=within):
            record.update(ends=renewer.whitelist(places), renewed=True)
    except SwrepoError as error:
        record["error"] = str(error)
    return record
