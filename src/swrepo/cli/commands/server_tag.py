"""List the named revisions (tags) of a repository of this server."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.output import write_json
from swrepo.errors import UsageError

EXAMPLE = "swrepo server tag -l dair.cvmfs.server"

_NOT_YET = {"-a": "adding a tag to a revision ('publish -a TAG' names the new one)", "-r": "removing a tag"}


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-l", dest="list", action="store_true", help="list (as without any option)")
    parser.add_argument("-x", dest="machine", action="store_true", help="for programs, as CernVM-FS prints it")
    parser.add_argument("-i", dest="inspect", metavar="TAG", help="only this one")
    parser.add_argument("--json", action="store_true", help="a JSON document")
    missing = parser.add_argument_group("not there yet")
    missing.add_argument("-a", dest="add", metavar="TAG", help="name a revision")
    missing.add_argument("-r", dest="remove", metavar="TAG", help="remove a name")


def run(args: argparse.Namespace) -> None:
    for option, value in (("-a", args.add), ("-r", args.remove)):
        if value is not None:
            raise UsageError(f"{option}: {_NOT_YET[option]} is not there yet")
    from swrepo.cli import server_side
    from swrepo.cli.published import state
    from swrepo.cli.tagging import machine_line, tag_record, write_tags
    from swrepo.errors import NotFound

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    tags = state(server.repository(fqrn)).tags()
    if args.inspect is not None:
        tags = tuple(tag for tag in tags if tag.name == args.inspect)
        if not tags:
            raise NotFound(f"{fqrn} has no tag {args.inspect!r}")
    if args.json:
        write_json([tag_record(tag) for tag in tags])
    elif args.machine:
        for tag in tags:
            print(machine_line(tag))
    else:
        write_tags(tags)
