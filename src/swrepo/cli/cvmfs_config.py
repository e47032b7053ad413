"""`cvmfs_config`: the original's commands for who looks after a client machine, with its columns and exit codes."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from swrepo.cli.exits import as_program
from swrepo.cli.linux import require_linux
from swrepo.errors import PermissionRefused, UsageError
from swrepo.system.loading import loaded
from swrepo.system.user import is_root

PROGRAM = "cvmfs_config"


class _Command(NamedTuple):
    usage: str
    summary: str
    module: str
    function: str


COMMANDS = {
    "setup": _Command("[nouser] [nocfgmod] [nostart] [noautofs]", "make what is missing", "setting_up", "setup"),
    "chksetup": _Command("", "say what would keep repositories from being read", "checking", "chksetup"),
    "showconfig": _Command("[-s] [NAME]", "show parameters and their files (-s: those set)", "showing", "showconfig"),
    "stat": _Command("[-v] [NAME]", "show figures of repositories in use", "showing", "stat"),
    "status": _Command("", "list the repositories in use", "showing", "status"),
    "probe": _Command("[NAME ...]", "look into repositories (default: CVMFS_REPOSITORIES)", "tending", "probe"),
    "reload": _Command("[-c] [NAME]", "look for new revisions (-c: and empty the caches)", "tending", "reload"),
    "umount": _Command("", "take all mounts away that nobody uses", "tending", "unmount"),
    "wipecache": _Command("", "empty the caches", "tending", "wipecache"),
    "killall": _Command("", "end all mounts, whatever they are doing", "tending", "killall"),
    "bugreport": _Command(
        "[FILE]", "write an archive of what somebody who helps wants to know", "reporting", "bugreport"
    ),
    "fsck": _Command("[-f] [-j N]", "check the caches (-f: remove what cannot be checked)", "tending", "fsck"),
}
_OF_ROOT = frozenset({"reload", "umount", "wipecache", "killall"})

_NOT_BUILT = {
    "fuser": "'fuser -vm DIR' says who uses a mount",
    "wsl2_start": "'swrepo mount --all' needs no automounter",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    return as_program(_run, PROGRAM, argv)


def _run(words: Sequence[str]) -> int:
    name, *rest = words or ["--help"]
    if name in ("-h", "--help", "help") or "--help" in rest:
        print(overview())
        return 0
    command = COMMANDS.get(name)
    if command is None:
        raise UsageError(_unknown(name))
    require_linux(PROGRAM)
    from swrepo.cli.places import PREFIX_VARIABLE, current

    places = current()
    if name in _OF_ROOT and not is_root() and PREFIX_VARIABLE not in places.environment:
        raise PermissionRefused(f"{PROGRAM} {name}: root privileges required")
    module = importlib.import_module(f"swrepo.cli.administration.{command.module}")
    loaded()
    function = cast("Callable[[Sequence[str], object], int]", getattr(module, command.function))
    return function(rest, places)


def overview() -> str:
    """The list of commands."""
    calls = {f"{name} {command.usage}".strip(): command for name, command in COMMANDS.items()}
    width = max(map(len, calls))
    lines = [f"usage: {PROGRAM} COMMAND ...", "", "commands:"]
    lines += [f"  {call:<{width}}  {command.summary}" for call, command in calls.items()]
    return "\n".join(lines)


def _unknown(name: str) -> str:
    if name in _NOT_BUILT:
        return f"{PROGRAM} {name} is not there: {_NOT_BUILT[name]}"
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f"{PROGRAM}: there is no command {name!r}{f'; did you mean {near[0]!r}?' if near else ''}"


if __name__ == "__main__":
    sys.exit(main())
