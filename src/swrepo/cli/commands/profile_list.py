"""List the profiles of a repository: what starts them, how much they hold, how much of that is still as it was."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.output import size_text, write_json, write_table

EXAMPLE = "swrepo profile list dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import profiling, server_side
    from swrepo.repository import profiles

    server = server_side.layout()
    places = server.repository(server_side.which(server, args.repository))
    with profiling.published(places) as (revision, _):
        records = [profiling.record(revision, name) for name in profiles.names(revision)]
    if args.json:
        write_json(records)
        return
    if not records:
        print(f"{places.fqrn} has no profiles; 'swrepo profile add' makes one of a trace")
        return
    rows = []
    for one in records:
        if "error" in one:
            rows.append([one["name"], "-", "-", "-", one["error"]])
            continue
        size = size_text(one["pack_bytes"]) if one["packs"] else "-"
        fresh = f"{one['fresh']} of {one['files']}"
        rows.append([one["name"], str(one["files"]), size, fresh, " ".join(one["triggers"])])
    write_table(["profile", "files", "packs", "as they were", "started by"], rows)
