"""Show a profile: its triggers, then each file with what has become of it since, in the order of use."""

from __future__ import annotations

import argparse

from swrepo.cli.describe import printable
from swrepo.cli.output import write_json

EXAMPLE = "swrepo profile show dair.cvmfs.server numpy"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="NAME", help="a repository of this server")
    parser.add_argument("profile", metavar="PROFILE", help="a profile of it")
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import profiling, server_side
    from swrepo.repository import profiles

    server = server_side.layout()
    places = server.repository(server_side.which(server, args.repository))
    with profiling.published(places) as (revision, _):
        found = profiling.load(revision, args.profile)
        files = []
        for file in found.files:
            revision.find(file.path)  # so that its catalog is loaded
            known = profiles.resolve(revision, file)
            is_gone = known is None or not known.wants
            state = "gone" if is_gone else "as it was" if known is not None and known.is_fresh else "changed"
            place = (
                f"pack {file.pack}" if file.pack is not None else f"{len(file.chunks)} chunks" if file.chunks else "-"
            )
            files.append((printable(file.path), file.size, place, state))
    if args.json:
        rows = [{"path": path, "size": size, "place": place, "state": state} for path, size, place, state in files]
        write_json({"profile": args.profile, "triggers": [printable(path) for path in found.triggers], "files": rows})
        return
    for trigger in found.triggers:
        print(f"started by {printable(trigger)}")
    for path, size, place, state in files:
        print(f"{size:>12} {place:<10} {state:<10} {path}")
