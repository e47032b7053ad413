"""List the catalogs of the newest revision as a tree."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.describe import printable
from swrepo.cli.output import write_json

EXAMPLE = "swrepo server list-catalogs -s -e dair.cvmfs.server"

DASH_H = "the hashes, as in CernVM-FS"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-s", dest="size", action="store_true", help="with the size of each")
    parser.add_argument("-e", dest="entries", action="store_true", help="with the number of entries of each")
    parser.add_argument("-h", dest="hash", action="store_true", help="with the hash of each")
    parser.add_argument("-x", dest="machine", action="store_true", help="for programs: no tree, only paths")
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.upkeep.catalog_list import Listed, catalogs

    server = server_side.layout()
    found = catalogs(server, server_side.which(server, args.repository))

    def line(one: Listed) -> str:
        tree = "" if args.machine else "│  " * (one.level - 1) + "├─ " * bool(one.level)
        shown = [(args.hash, one.id.text), (args.size, f"{one.size}B"), (args.entries, str(one.entries))]
        words = [word for wanted, word in shown if wanted]
        return tree + " ".join([*words, printable(one.path) or "/"])

    if args.json:
        write_json(
            [
                {"path": printable(one.path) or "/", "hash": one.id.text, "size": one.size, "entries": one.entries}
                for one in found
            ]
        )
        return
    for one in found:
        print(line(one))
