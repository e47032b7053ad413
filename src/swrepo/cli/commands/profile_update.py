"""Make profiles anew of the files that they list, as these are now, and publish them: their packs are fresh again."""

from __future__ import annotations

import argparse

EXAMPLE = "swrepo profile update dair.cvmfs.server"

_KIB = 1024


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="NAME", help="a repository of this server")
    parser.add_argument("profiles", nargs="*", metavar="PROFILE", help="default: all of them")
    parser.add_argument("--no-publish", action="store_true", help="only write them into the work tree")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import profiling, server_side
    from swrepo.publish import profiles as making
    from swrepo.repository import profiles

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    places = server.repository(fqrn)
    with profiling.published(places) as (revision, stored):
        for name in args.profiles or profiles.names(revision):
            found = profiling.load(revision, name)
            limits = making.PackLimits() if found.packs else making.PackLimits(0)
            made = making.make(
                revision, stored, found.triggers, found.files, (one.path for one in found.catalogs), limits
            )
            making.write(places.worktree, name, made)
            print(f"{name}: {profiling.sentence(made.profile, made.packs)}")
    if not args.no_publish:
        outcome = profiling.publish(server, fqrn)
        print(f"{fqrn}: revision {outcome.revision} is the newest")
