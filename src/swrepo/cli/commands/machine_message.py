"""Print what somebody who logs in wants to know: what this machine serves or uses, and what to type next."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "swrepo machine message"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="the machine's file system")


def run(args: argparse.Namespace) -> None:
    from swrepo.machine import message, settings
    from swrepo.machine.addresses import addresses

    found = settings.load(args.root)
    if found.role == "server":
        from swrepo.publish.layout import ServerLayout

        text = message.for_server(ServerLayout(args.root), addresses(args.root))
    else:
        from swrepo.cli.places import current
        from swrepo.cli.pointing import previous_server

        text = message.for_client(previous_server(current()), found.role)
    print(text, end="")
