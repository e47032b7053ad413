"""Name revisions (tags), and list, inspect or remove the names."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.output import write_json
from swrepo.errors import UsageError

if TYPE_CHECKING:
    from swrepo.publish.layout import ServerLayout

EXAMPLE = """swrepo server tag -a v1.2 -m 'with the new solver' dair.cvmfs.server
swrepo server tag -a v1.1 --revision 7 dair.cvmfs.server
swrepo server tag -r v0.9 -r v0.8 -f dair.cvmfs.server
swrepo server tag -l -x dair.cvmfs.server"""

DASH_H = "the hash of a root catalog, as in CernVM-FS"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-a", dest="add", metavar="TAG", help="name the newest revision, or that of -h or --revision")
    parser.add_argument("-m", dest="message", default="", metavar="TEXT", help="what the new tag is about")
    parser.add_argument("-h", dest="hash", metavar="HASH", help="the root catalog to name; moves a tag that is there")
    parser.add_argument("--revision", type=int, metavar="N", help="the number of the revision to name, likewise")
    parser.add_argument("-r", dest="remove", action="append", metavar="TAG", help="remove a tag; may be repeated")
    parser.add_argument("-f", dest="force", action="store_true", help="remove without asking")
    parser.add_argument("-i", dest="inspect", metavar="TAG", help="show a tag")
    parser.add_argument("-l", dest="list", action="store_true", help="list the tags (as without any option)")
    parser.add_argument("-b", dest="branches", action="store_true", help="list the branches")
    parser.add_argument("-x", dest="machine", action="store_true", help="for programs, as CernVM-FS prints it")
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> int:
    chosen = [
        args.add is not None,
        bool(args.remove),
        args.inspect is not None,
        args.list and args.inspect is None,
        args.branches,
    ]
    if sum(chosen) > 1:
        raise UsageError("one thing at a time: -a adds, -r removes, -i inspects, -l lists tags, -b branches")
    if (args.hash is not None or args.revision is not None) and args.add is None:
        raise UsageError("-h and --revision say what -a names; there is no -a")
    if args.hash is not None and args.revision is not None:
        raise UsageError("-h and --revision: one of them names the revision")
    from swrepo.cli import server_side

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    if args.add is not None or args.remove:
        code = _add(server, fqrn, args) if args.add is not None else _remove(server, fqrn, args)
        if code == 0:
            from swrepo.cli.publishing import after_change

            after_change(server, fqrn, quiet=args.json)
        return code
    return _branches(server, fqrn, args) if args.branches else _list(server, fqrn, args)


def _add(server: ServerLayout, fqrn: str, args: argparse.Namespace) -> int:
    from swrepo.cli.tagging import tag_record
    from swrepo.errors import FormatError
    from swrepo.format.object_id import Kind, ObjectId
    from swrepo.upkeep.opening import Keeper
    from swrepo.upkeep.tags import Tags

    try:
        root = None if args.hash is None else ObjectId.parse(args.hash.removeprefix("@").rstrip("C"), Kind.CATALOG)
    except FormatError as error:
        raise UsageError(f"-h {args.hash}: not the hash of a catalog") from error
    tag = Tags(Keeper(server)).add(fqrn, args.add, args.message, root, args.revision)
    if args.json:
        write_json(tag_record(tag))
    else:
        print(f"{fqrn}: {tag.name} is revision {tag.revision} ({tag.root.text})")
    return 0


def _remove(server: ServerLayout, fqrn: str, args: argparse.Namespace) -> int:
    from swrepo.cli.confirming import confirm
    from swrepo.cli.tagging import tag_record
    from swrepo.upkeep.opening import Keeper
    from swrepo.upkeep.tags import Tags

    names = [name for given in args.remove for name in given.split()]
    if not args.force and not confirm(f"remove from {fqrn} the tags {', '.join(names)}"):
        return 1
    removed = Tags(Keeper(server)).remove(fqrn, names)
    if args.json:
        write_json([tag_record(tag) for tag in removed])
    for tag in removed if not args.json else ():
        print(f"deleting '{tag.name}' ({tag.root.text})")
    return 0


def _list(server: ServerLayout, fqrn: str, args: argparse.Namespace) -> int:
    from swrepo.cli.published import state
    from swrepo.cli.tagging import machine_line, tag_record, write_tag, write_tags
    from swrepo.errors import NotFound

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
    elif args.inspect is not None:
        write_tag(tags[0])
    else:
        write_tags(tags)
    return 0


def _branches(server: ServerLayout, fqrn: str, args: argparse.Namespace) -> int:
    from swrepo.cli.published import state
    from swrepo.cli.tagging import branch_lines

    branches = state(server.repository(fqrn)).branches()
    if args.json:
        write_json(
            [{"branch": one.name, "parent": one.parent, "initial_revision": one.initial_revision} for one in branches]
        )
        return 0
    for line in branch_lines(branches, machine=args.machine):
        print(line)
    return 0
