"""Publish what changed in the work tree as the next revision: all of it, or, where anything fails, nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.output import write_json
from swrepo.cli.progress import Progress

EXAMPLE = "swrepo server publish dair.cvmfs.server -a v1.2 -m 'with the new solver'"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-a", dest="tag", default="", metavar="TAG", help="a name for the new revision")
    parser.add_argument("-m", dest="message", default="", metavar="TEXT", help="what the tag is about")
    parser.add_argument("-v", dest="verbose", action="store_true", help="list every change")
    parser.add_argument("--source", metavar="DIR", help="another directory than the work tree")
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.publish.seal import TagRequest
    from swrepo.publish.transaction import Publisher

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    source = Path(args.source) if args.source else None
    listing = server_side.Listing(everything=True) if args.verbose and not args.json else None
    with Progress("publishing", "files") as progress:
        publisher = Publisher(server, progress, listing)
        outcome = publisher.publish(fqrn, source, TagRequest(args.tag, args.message))
    server_side.warn_of_links(outcome)
    if args.json:
        write_json(server_side.outcome_record(fqrn, outcome))
    elif not outcome.published:
        called = f", and called {args.tag} now" if args.tag else ""
        print(f"{fqrn}: nothing changed; revision {outcome.revision} is still the newest{called}")
    else:
        print(f"{fqrn}: published revision {outcome.revision}: {server_side.counts(outcome)}")
