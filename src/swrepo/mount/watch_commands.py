"""What a mount answers to who watches it, and what it says to commands that mean something in the original only."""

from __future__ import annotations

import os
from collections.abc import Sequence

from swrepo.errors import UsageError
from swrepo.fuse.mount import device_of
from swrepo.mount import inside
from swrepo.mount.accesses import Accesses
from swrepo.mount.control import Command
from swrepo.mount.logs import log_level
from swrepo.mount.metrics import metrics
from swrepo.mount.mounted import Mounted
from swrepo.mount.refresh import Timer
from swrepo.mount.trace_file import TraceFile

DONE = "OK"
_MINUTE = 60
_LONGEST_TTL = 525_600

NOT_HERE = {
    "detach nested catalogs": "catalogs are not detached: those that nobody uses are closed by themselves",
    "nameserver get": "the name server is that of CVMFS_DNS_SERVER, or the system's",
    "nameserver set": "set CVMFS_DNS_SERVER and mount again",
    "send mount fd": "the mount's descriptor is not handed out",
    "tear down to read-only": "the cache stays as it is; 'swrepo umount' ends the mount",
}
"""Commands that name what this client does not have, and what to do in its place."""


def watch_commands(
    mounted: Mounted, timer: Timer, history: Sequence[str], trace: TraceFile | None = None
) -> dict[str, Command]:
    """The commands, by name. `history`: the programs that have served the mount."""
    accesses = Accesses(mounted.vfs, mounted.session)
    return {
        "metrics": lambda _rest: metrics(mounted).rstrip("\n"),
        "latency": lambda _rest: inside.latencies(mounted),
        "internal affairs": lambda _rest: inside.affairs(mounted),
        "open catalogs": lambda _rest: inside.open_catalogs(mounted),
        "vfs inodes": lambda _rest: inside.inodes(mounted),
        "vfs entries": lambda _rest: inside.entries(mounted),
        "reset error counters": lambda _rest: _reset_errors(mounted),
        "accesses": accesses.command,
        "log level": log_level,
        "log show": lambda _rest: mounted.process.recent_log().rstrip("\n"),
        "device id": lambda _rest: device_of(mounted.request.mountpoint) or "0:0",
        "max ttl info": lambda _rest: _max_ttl(timer),
        "max ttl set": lambda rest: _set_max_ttl(timer, rest),
        "parameters": lambda _rest: _parameters(mounted),
        "pid cachemgr": lambda _rest: str(os.getpid()),
        "pid watchdog": lambda _rest: str(os.getppid()),
        "version patchlevel": lambda _rest: "0",
        "tracebuffer flush": lambda _rest: _flush(trace),
        "hotpatch history": lambda _rest: "\n".join(history),
        **{name: _refusal(sentence) for name, sentence in NOT_HERE.items()},
    }


def _refusal(sentence: str) -> Command:
    def answer(_rest: str) -> str:
        raise UsageError(sentence)

    return answer


def _flush(trace: TraceFile | None) -> str:
    """With or without a trace, as in the original."""
    if trace is not None:
        trace.flush()
    return DONE


def _max_ttl(timer: Timer) -> str:
    return "unset" if timer.longest is None else f"{timer.longest // _MINUTE} minutes"


def _set_max_ttl(timer: Timer, text: str) -> str:
    if not (text.isascii() and text.isdigit()) or int(text) > _LONGEST_TTL:
        raise UsageError(f"{text!r} is no number of minutes, up to {_LONGEST_TTL}; 0 for what the repository says")
    timer.longest = _MINUTE * int(text) or None
    return DONE


def _parameters(mounted: Mounted) -> str:
    """What was set for the repositories in use, and where; not the whole environment."""
    lines = set()
    for access in mounted.accesses.values():
        variables = access.request.variables
        lines |= {f"{name}={variables[name]}    # from {origin}" for name, origin in access.request.origins.items()}
    return "\n".join(sorted(lines))


def _reset_errors(mounted: Mounted) -> str:
    mounted.process.reset_errors()
    return DONE
