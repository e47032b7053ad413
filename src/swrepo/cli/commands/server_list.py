"""List the repositories of this server."""

from __future__ import annotations

import argparse

from swrepo.cli.output import write_json

EXAMPLE = "swrepo server list"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side

    server = server_side.layout()
    names = server.repositories()
    if args.json:
        write_json([{"name": name, "storage": server.repository(name).place} for name in names])
        return
    for name in names:
        print(f"{name} (stratum0 / {'local' if server.repository(name).is_local else 'S3'})")
