"""Write what the server tells of itself: its list of repositories, and who runs it.

These are repositories.json and meta.json, at /cvmfs/info/v1/. Without -e or -f, meta.json is opened in $EDITOR.
"""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = """
swrepo server update-info -e
swrepo server update-info -f meta.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-e", dest="no_edit", action="store_true", help="only the list, do not edit meta.json")
    parser.add_argument("-f", dest="file", metavar="FILE", help="take meta.json from a file")
    parser.add_argument("-p", dest="no_apache", action="store_true", help="no Apache configuration: as always here")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.cli.editing import edited
    from swrepo.publish.server_list import read_meta, update_list, write_meta

    server = server_side.layout()
    if args.file:
        write_meta(server, Path(args.file).read_bytes())
    elif not args.no_edit:
        write_meta(server, edited(read_meta(server), ".json"))
    names = update_list(server)
    print(f"{server.served / 'info/v1'}: {len(names)} repositories are listed")
