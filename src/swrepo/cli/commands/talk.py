"""Ask a running mount, or tell it what to do: 'help' lists what it understands, 'remount' looks for a new revision."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.linux import require_linux
from swrepo.cli.places import current
from swrepo.errors import SwrepoError

EXAMPLE = """swrepo talk /cvmfs remount
swrepo talk /mnt counters"""

_ERROR = "error: "


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mount", metavar="DIR|NAME", help="where the mount is, or the repository's name")
    parser.add_argument("words", nargs="+", metavar="COMMAND", help="such as: help, remount, revision, counters, pid")
    parser.add_argument("--cache", metavar="DIR", help="the mount's --cache, where it has one")
    parser.add_argument("--socket", metavar="FILE", help="the control socket itself")


def run(args: argparse.Namespace) -> int:
    require_linux("swrepo talk")
    from swrepo.cli.mounting import find_socket
    from swrepo.cli.talking import ask_repository
    from swrepo.format.wellknown import is_fqrn
    from swrepo.mount.control import ask

    command = " ".join(args.words)
    if args.socket is None and is_fqrn(args.mount):
        answer = ask_repository(args.mount, command, current())
    else:
        socket = Path(args.socket) if args.socket else find_socket(args.mount, args.cache, current())
        answer = ask(socket, command)
    print(answer)
    refused = answer.startswith((_ERROR, "unknown command"))
    return SwrepoError.exit_code if refused else 0
