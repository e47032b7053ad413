"""Ask a running mount, or tell it what to do: 'help' lists its commands; 'remount' looks for a new revision; 'reload'
goes on with the program and the configuration of now.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.linux import require_linux
from swrepo.cli.places import current
from swrepo.errors import MountFailed, SwrepoError

EXAMPLE = """swrepo talk /cvmfs remount
swrepo talk /cvmfs reload
swrepo talk /mnt counters"""

_ERROR = "error: "


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mount", metavar="DIR|NAME", help="where the mount is, or the repository's name")
    parser.add_argument("words", nargs="+", metavar="COMMAND", help="such as: help, remount, revision, counters, pid")
    parser.add_argument("--cache", metavar="DIR", help="the mount's --cache, where it has one")
    parser.add_argument("--socket", metavar="FILE", help="the control socket itself")


def run(args: argparse.Namespace) -> int:
    require_linux("swrepo talk")
    command = " ".join(args.words)
    answer = _of_a_repository(args, command) or _of_a_mount(args, command)
    print(answer)
    refused = answer.startswith((_ERROR, "unknown command"))
    return SwrepoError.exit_code if refused else 0


def _of_a_repository(args: argparse.Namespace, command: str) -> str | None:
    """None where no repository of that name is in use: it may be a directory, which must not be looked at."""
    from swrepo.cli.talking import ask_repository
    from swrepo.format.wellknown import is_fqrn

    if args.socket is not None or not is_fqrn(args.mount):
        return None
    try:
        return ask_repository(args.mount, command, current())
    except MountFailed:
        if "." in args.mount:
            raise
        return None


def _of_a_mount(args: argparse.Namespace, command: str) -> str:
    from swrepo.cli.mounting import find_socket
    from swrepo.cli.talking import RELOAD, reload
    from swrepo.mount.control import ask

    socket = Path(args.socket) if args.socket else find_socket(args.mount, args.cache, current())
    return reload(socket, current()) if command == RELOAD else ask(socket, command)
