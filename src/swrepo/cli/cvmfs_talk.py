"""`cvmfs_talk`: asks running mounts, or tells them what to do; the original's options and commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from swrepo.cli.exits import as_program
from swrepo.cli.linux import require_linux
from swrepo.errors import MountFailed, SwrepoError, UsageError
from swrepo.system.loading import loaded

PROGRAM = "cvmfs_talk"
_ERROR = "error: "


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return as_program(_run, PROGRAM, argv)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    found = argparse.ArgumentParser(
        prog=PROGRAM, description="Ask running mounts, or tell them what to do; 'help' lists what they understand."
    )
    which = found.add_mutually_exclusive_group()
    which.add_argument("-i", metavar="NAME", dest="instance", help="a repository (default: all configured)")
    which.add_argument("-p", metavar="SOCKET", dest="socket", help="the control socket itself")
    found.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="such as: pid, cache size, host info")
    return found


def _run(words: Sequence[str]) -> int:
    args = parser().parse_args(words)
    loaded()
    if not args.words:
        raise UsageError(f"{PROGRAM} needs a command, such as: {PROGRAM} -i NAME help")
    require_linux(PROGRAM)
    command = " ".join(args.words)
    if args.socket is not None:
        from swrepo.cli.places import current
        from swrepo.cli.talking import RELOAD, reload
        from swrepo.mount.control import ask

        socket = Path(args.socket)
        return _shown(reload(socket, current()) if command == RELOAD else ask(socket, command))
    return _ask_instance(args.instance, command) if args.instance is not None else _ask_all(command)


def _ask_instance(name: str, command: str) -> int:
    from swrepo.cli.configured import full_name
    from swrepo.cli.places import current
    from swrepo.cli.talking import ask_repository

    places = current()
    return _shown(ask_repository(full_name(name, places), command, places))


def _ask_all(command: str) -> int:
    """As the original: each configured repository, in turn; those that are not mounted are said to be so."""
    from swrepo.cli.configured import full_name, general
    from swrepo.cli.places import current
    from swrepo.cli.talking import ask_repository

    places = current()
    names = general(places).repositories
    if not names:
        raise UsageError("no repository is configured (CVMFS_REPOSITORIES); name one with -i")
    code = 0
    for name in names:
        print(f"{full_name(name, places)}:")
        try:
            code = max(code, _shown(ask_repository(full_name(name, places), command, places)))
        except MountFailed as error:
            print(f"{PROGRAM}: {error}", file=sys.stderr)
            code = max(code, error.exit_code)
    return code


def _shown(answer: str) -> int:
    print(answer)
    return SwrepoError.exit_code if answer.startswith((_ERROR, "unknown command")) else 0


if __name__ == "__main__":
    sys.exit(main())
