"""What a mount answers on its control socket."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from swrepo import __version__
from swrepo.mount.cache_commands import cache_commands
from swrepo.mount.control import Command
from swrepo.mount.mounted import Mounted
from swrepo.mount.refresh import Refresher
from swrepo.mount.report import report


def commands(mounted: Mounted) -> dict[str, Command]:
    """The commands by name."""

    def on_each(question: Callable[[Refresher], str]) -> Command:
        def answer(_rest: str) -> str:
            found = mounted.refreshers()
            if len(found) == 1:
                return question(found[0])
            return "\n".join(f"{refresher.access.fqrn}: {question(refresher)}" for refresher in found)

        return answer

    started = time.monotonic()

    def status(_rest: str) -> str:
        return report(mounted.request.mountpoint, mounted.accesses, mounted.session.requests(), started)

    return {
        "status": status,
        "counters": lambda _rest: _counters(mounted),
        "remount": on_each(lambda refresher: refresher.refresh()),
        "remount sync": on_each(lambda refresher: refresher.refresh()),
        "revision": on_each(lambda refresher: str(refresher.access.revision.number)),
        "pid": lambda _rest: str(os.getpid()),
        "mountpoint": lambda _rest: mounted.request.mountpoint,
        "version": lambda _rest: __version__,
        **cache_commands(lambda: mounted.accesses),
    }


def _counters(mounted: Mounted) -> str:
    """A line `name value` for each counter."""
    lines = [f"requests {name} {count}" for name, count in sorted(mounted.session.requests().items())]
    ahead = mounted.adapter.ahead.counters
    lines += [f"ahead fetched {ahead.fetched}", f"ahead used {ahead.used}"]
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
