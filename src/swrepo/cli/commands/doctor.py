"""Say what keeps repositories from being read, and which command mends it: a line for each thing that was looked at.

Without an argument: this machine, its configuration, caches and mounts, and the repositories in CVMFS_REPOSITORIES.
With one, also the way to it: names, connections, proxies, signatures. Nothing is changed, and no mounted directory is
touched, so that a mount that hangs holds nothing up. The exit code is 1 where something does not work.
"""

from __future__ import annotations

import argparse

from swrepo.cli.linux import require_linux
from swrepo.cli.selection import add_access_options

EXAMPLE = """swrepo doctor
swrepo doctor server.example.org:8000
swrepo doctor sw.example.org --json"""


def configure(parser: argparse.ArgumentParser) -> None:
    what = "a server, a repository by name or URL, or a path below /cvmfs"
    parser.add_argument("subject", nargs="?", metavar="HOST|REPOSITORY|PATH", help=what)
    parser.add_argument("--json", action="store_true", help="a JSON document")
    parser.add_argument("--wrong", action="store_true", help="only what is not in order")
    add_access_options(parser)


def run(args: argparse.Namespace) -> int:
    require_linux("swrepo doctor")
    from swrepo.cli.diagnosis import examination, showing

    findings = examination.examine(args)
    return showing.as_json(args.subject, findings) if args.json else showing.as_lines(findings, only_wrong=args.wrong)
