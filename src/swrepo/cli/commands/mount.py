"""Mount a repository (or, with --all, every configured one below one directory) and return when the mount answers."""

from __future__ import annotations

import argparse

from swrepo.cli.linux import require_linux
from swrepo.cli.places import current
from swrepo.cli.selection import add_access_options
from swrepo.errors import UsageError

EXAMPLE = """swrepo mount http://127.0.0.1:8000/cvmfs/dair.cvmfs.server /mnt --key dair.cvmfs.server.pub
swrepo mount dair.cvmfs.server /mnt -o tag=v1.2
swrepo mount --all /cvmfs"""
LOADS_MORE = True
"""Most of it after the command line was read: swrepo.cli.mounting says when that is done."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", metavar="URL|NAME", help="repository, by its URL, directory or name")
    parser.add_argument(
        "directory", nargs="?", metavar="DIR", help="an empty directory, or /dev/fd/N (mounted already)"
    )
    parser.add_argument("--all", action="store_true", help="every configured repository below DIR (default: /cvmfs)")
    parser.add_argument("--list", action="store_true", help="with --all: 'ls' shows also those that nobody uses yet")
    parser.add_argument("-f", "--foreground", action="store_true", help="stay until the mount ends, and log here")
    what = (
        "tag=NAME, date=TIME, hash=HASH, quota=MB, deadline=SECONDS, idle=SECONDS, allow_other, suid, dev, "
        "passthrough, list, prefetch=no, fill=PATH, "
        "or PARAMETER=VALUE, commas between"
    )
    parser.add_argument("-o", dest="options", action="append", default=[], metavar="OPT", help=what)
    add_access_options(parser)


def run(args: argparse.Namespace) -> int:
    require_linux("swrepo mount")
    from swrepo.cli import mounting, options

    chosen = options.parse([*args.options, *(["list"] if args.list else [])])
    if args.all:
        if args.directory is not None:
            raise UsageError("--all mounts every configured repository; give it the directory only")
        places = current()
        args.directory = args.target or str(places.mountpoint)
        return mounting.mount_all(args, chosen, places)
    if chosen.list_all:
        raise UsageError("--list and -o list go with --all: one repository is all of its mount")
    if args.directory is None:
        raise UsageError("swrepo mount needs a repository and a directory; try 'swrepo mount --help'")
    return mounting.mount_one(args, chosen)
