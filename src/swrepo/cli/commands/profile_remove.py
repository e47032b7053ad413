"""Remove a profile from a repository and publish that."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "swrepo profile remove dair.cvmfs.server numpy"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="NAME", help="a repository of this server")
    parser.add_argument("profile", metavar="PROFILE", help="a profile of it")
    parser.add_argument("--no-publish", action="store_true", help="only take it out of the work tree")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import profile_publication as publication
    from swrepo.cli import server_side
    from swrepo.publish import profiles

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)

    def remove(worktree: Path) -> None:
        profiles.remove(worktree, args.profile)

    if args.no_publish:
        publication.written(server, fqrn, remove)
        print(f"{args.profile}: is gone with the next publication")
        return
    outcome = publication.published(server, fqrn, remove)
    print(f"{fqrn}: published revision {outcome.revision} without the profile {args.profile}")
