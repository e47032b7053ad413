"""Say whether profiles still hold what programs open: how many files are as they were, have changed, are gone.

Nothing goes wrong with one that does not: clients fetch what has changed as it is now, and pass over what is gone. It
only makes less of a start. The exit code is 1 where 'swrepo profile update' would help.
"""

from __future__ import annotations

import argparse

from swrepo.cli.output import write_json

EXAMPLE = "swrepo profile check dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="NAME", help="a repository of this server")
    parser.add_argument("profiles", nargs="*", metavar="PROFILE", help="default: all of them")
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> int:
    from swrepo.cli import profiling, server_side
    from swrepo.repository import profiles

    server = server_side.layout()
    places = server.repository(server_side.which(server, args.repository))
    with profiling.published(places) as (revision, _):
        names = args.profiles or profiles.names(revision)
        records = [profiling.record(revision, name) for name in names]
    if args.json:
        write_json(records)
    outdated = 0
    for one in records:
        is_outdated = bool("error" in one or one["changed"] or one["gone"])
        outdated += is_outdated
        if args.json:
            continue
        if "error" in one:
            print(f"{one['name']}: cannot be read: {one['error']}")
        else:
            advice = f"; 'swrepo profile update {places.fqrn} {one['name']}'" if is_outdated else ""
            print(
                f"{one['name']}: {one['fresh']:,} files as they were, {one['changed']:,} changed, "
                f"{one['gone']:,} gone{advice}"
            )
    return 1 if outdated else 0
