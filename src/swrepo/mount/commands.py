"""What a mount answers on its control socket: one table of all commands."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from swrepo import __version__
from swrepo.client.access import Access
from swrepo.errors import PathNotFound, UsageError
from swrepo.format.object_id import Kind, ObjectId
from swrepo.mount import ahead_commands
from swrepo.mount.cache_commands import cache_commands
from swrepo.mount.control import Command, answer
from swrepo.mount.mounted import Mounted
from swrepo.mount.network_commands import NetworkCommands
from swrepo.mount.refresh import Refresher, Timer
from swrepo.mount.renewal import attempt
from swrepo.mount.report import report
from swrepo.mount.trace_file import TraceFile
from swrepo.mount.watch_commands import watch_commands

RELOADING = "a program that was started anew takes over"


def commands(
    mounted: Mounted, timer: Timer, history: Sequence[str] = (), trace: TraceFile | None = None
) -> dict[str, Command]:
    """The commands by name. `in NAME COMMAND` is about one of many repositories.

    `history`: the programs that have served the mount.
    """
    network = NetworkCommands()
    watching = watch_commands(mounted, timer, history, trace)

    def about(wanted: str | None) -> dict[str, Command]:
        def accesses() -> Mapping[str, Access]:
            return {name: one for name, one in mounted.accesses.items() if wanted in (None, one.fqrn)}

        def refreshers() -> list[Refresher]:
            return [one for one in mounted.refreshers() if wanted in (None, one.access.fqrn)]

        return {
            **_of_repositories(refreshers),
            **cache_commands(accesses),
            **network.commands(accesses),
            **_of_the_mount(mounted),
            **watching,
        }

    def in_one(text: str) -> str:
        name, _, rest = text.partition(" ")
        if not rest:
            raise UsageError("say: in NAME COMMAND")
        if not any(access.fqrn == name for access in mounted.accesses.values()):
            raise PathNotFound(f"the mount shows no repository {name!r} at the moment")
        return answer(about(name), rest)

    return {**about(None), "in": in_one}


def _of_the_mount(mounted: Mounted) -> dict[str, Command]:
    started = time.monotonic()

    def status(_rest: str) -> str:
        ahead = ahead_commands.state(mounted)
        return report(mounted.request.mountpoint, mounted.accesses, mounted.session.requests(), started, ahead)

    return {
        "status": status,
        "trace": mounted.openings.command,
        "quiet": lambda _rest: f"{min(mounted.quiet.seconds(), time.monotonic() - started):.3f}",
        "prefetch": lambda rest: ahead_commands.prefetch(mounted, rest),
        "counters": lambda _rest: _counters(mounted),
        "pid": lambda _rest: str(os.getpid()),
        "mountpoint": lambda _rest: mounted.request.mountpoint,
        "reload": lambda _rest: _reload(mounted),
        "version": lambda _rest: __version__,
    }


def _reload(mounted: Mounted) -> str:
    attempt(mounted.request.again, [access.fqrn for access in mounted.accesses.values()])
    mounted.make_room()
    return RELOADING


def _of_repositories(refreshers: Callable[[], list[Refresher]]) -> dict[str, Command]:
    def on_each(question: Callable[[Refresher, str], str]) -> Command:
        def answer_all(rest: str) -> str:
            found = refreshers()
            if len(found) == 1:
                return question(found[0], rest)
            return "\n".join(f"{refresher.access.fqrn}: {question(refresher, rest)}" for refresher in found)

        return answer_all

    return {
        "remount": on_each(lambda refresher, _rest: refresher.refresh()),
        "remount sync": on_each(lambda refresher, _rest: refresher.refresh()),
        "revision": on_each(lambda refresher, _rest: str(refresher.access.revision.number)),
        "chroot": lambda rest: _chroot(refreshers(), rest),
    }


def _chroot(refreshers: list[Refresher], text: str) -> str:
    if len(refreshers) != 1:
        raise UsageError("say of which repository: in NAME chroot HASH")
    return refreshers[0].show(ObjectId.parse(text, Kind.CATALOG))


def _counters(mounted: Mounted) -> str:
    """A line `name value` for each counter."""
    lines = [f"requests {name} {count}" for name, count in sorted(mounted.session.requests().items())]
    lines.append(f"loop fetched {mounted.adapter.reads.direct.taken}")
    lines += ahead_commands.counters(mounted)
    seen: set[Path] = set()
    for access in mounted.accesses.values():
        prefix = f"cache {access.cache.root}"
        quota = access.cache.quota
        if access.cache.root not in seen and quota is not None:
            limits = quota.counters
            lines += [f"{prefix} {name} {getattr(limits, name)}" for name in limits.__dataclass_fields__]
        seen.add(access.cache.root)
        counters = access.cache.counters
        lines += [f"{prefix} {name} {getattr(counters, name)}" for name in counters.__dataclass_fields__]
    return "\n".join(lines)
