"""Serve repositories over HTTP: every DIR/NAME that holds one appears as /cvmfs/NAME."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.output import note
from swrepo.cli.places import current
from swrepo.errors import UsageError
from swrepo.publish.layout import ServerLayout
from swrepo.system.descriptors import raise_limit

EXAMPLE = "swrepo serve /srv/cvmfs --port 8000"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directories", nargs="*", metavar="DIR", help="where repositories are (default: this server's)")
    parser.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS", help="0.0.0.0 for all (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--geo", metavar="FILE", help="where addresses are (.mmdb), for the Geo API (default: that of update-geodb)"
    )
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="processes that share the work")


def run(args: argparse.Namespace) -> None:
    directories = [Path(directory) for directory in args.directories] or [current().server_prefix / "srv/cvmfs"]
    for directory in directories:
        if not directory.is_dir():
            raise UsageError(f"{directory} is no directory; 'swrepo server mkfs NAME' makes a repository")
    from swrepo.web.serve import serve_directory

    geo = Path(args.geo) if args.geo else ServerLayout(current().server_prefix).geo_database
    if args.geo:
        from swrepo.web.places import open_database

        open_database(geo).close()

    raise_limit()
    serve_directory(
        directories,
        bind=args.bind,
        port=args.port,
        processes=args.processes,
        geo=geo,
        ready=lambda url: note(f"serving {', '.join(map(str, directories))} at {url}; Ctrl-C ends it"),
    )
