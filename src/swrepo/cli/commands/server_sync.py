"""Show what publishing would change, and store the contents ahead of it. Clients see nothing before 'publish'."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.output import write_json
from swrepo.cli.progress import Progress

EXAMPLE = "swrepo server sync dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-v", dest="verbose", action="store_true", help="list every change, however many there are")
    parser.add_argument("--source", metavar="DIR", help="another directory than the work tree")
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.publish.transaction import Publisher

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    listing = server_side.Listing(everything=args.verbose)
    with Progress("storing", "files") as progress:
        publisher = Publisher(server, progress, None if args.json else listing)
        outcome = publisher.sync(fqrn, Path(args.source) if args.source else None)
    listing.close()
    server_side.warn_of_links(outcome)
    if args.json:
        write_json(server_side.outcome_record(fqrn, outcome))
    elif outcome.added or outcome.changed or outcome.removed:
        print(f"{fqrn}: {server_side.counts(outcome)} ahead")
        print(f"'cvmfs_server publish' makes it revision {outcome.revision + 1}")
    else:
        print(f"{fqrn}: nothing changed since revision {outcome.revision}")
