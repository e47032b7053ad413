"""Publish what a repository tells of itself: a JSON document that its manifest names. The revision stays.

Without -f, the document that is there is opened in $EDITOR.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.arguments import add_repository_argument

EXAMPLE = "swrepo server update-repoinfo -f about.json dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-f", dest="file", metavar="FILE", help="take the document from a file")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.cli.editing import edited
    from swrepo.publish.metainfo import read_metainfo, write_metainfo
    from swrepo.publish.renewal import Renewer

    server = server_side.layout()
    places = server.repository(server_side.which(server, args.repository))
    raw = Path(args.file).read_bytes() if args.file else edited(read_metainfo(places), ".json")
    name = write_metainfo(places, raw, Renewer())
    print(f"{places.fqrn}: the manifest names {name} now")
