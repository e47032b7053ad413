"""Make profiles anew of the files that they list, as these are now, and publish them: their packs are fresh again."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "swrepo profile update dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="NAME", help="a repository of this server")
    parser.add_argument("profiles", nargs="*", metavar="PROFILE", help="default: all of them")
    parser.add_argument("--no-publish", action="store_true", help="only write them into the work tree")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import profile_publication as publication
    from swrepo.cli import profiling, server_side
    from swrepo.publish import profiles as making
    from swrepo.repository import profiles

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    places = server.repository(fqrn)
    anew: dict[str, making.Made] = {}
    with profiling.published(places) as (revision, stored):
        for name in args.profiles or profiles.names(revision):
            found = profiling.load(revision, name)
            limits = making.PackLimits() if found.packs else making.PackLimits(0)
            made = making.make(
                revision, stored, found.triggers, found.files, (one.path for one in found.catalogs), limits
            )
            anew[name] = made
            print(f"{name}: {profiling.sentence(made.profile, made.packs)}")

    def write(worktree: Path) -> None:
        for name, made in anew.items():
            making.write(worktree, name, made)

    if args.no_publish:
        publication.written(server, fqrn, write)
    else:
        outcome = publication.published(server, fqrn, write)
        print(f"{fqrn}: revision {outcome.revision} is the newest")
