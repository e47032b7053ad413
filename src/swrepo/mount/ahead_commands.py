"""Fetching ahead, as the control socket has it: switched off for a while, counted, how far directories are filled."""

from __future__ import annotations

from typing import Any

from swrepo.errors import UsageError
from swrepo.mount.mounted import Mounted

_SWITCH = {"on": True, "off": False}


def prefetch(mounted: Mounted, rest: str) -> str:
    """`on` and `off` hold until the mount ends; either way, whether anything is fetched ahead now."""
    ahead = mounted.adapter.ahead
    if rest:
        if rest not in _SWITCH:
            raise UsageError("say prefetch, prefetch on, or prefetch off")
        ahead.switch(is_on=_SWITCH[rest])
        if not ahead.is_on and mounted.learned is not None:
            mounted.learned.packs.stop("it was switched off")
    return "on" if ahead.is_on else "off"


def counters(mounted: Mounted) -> list[str]:
    """A line `name value` for each counter: of all origins together, then of each."""
    lines = []
    ledger = mounted.adapter.ahead.ledger
    for prefix, ahead in (
        ("ahead", ledger.total),
        *((f"ahead {name}", one) for name, one in ledger.counters().items()),
    ):
        lines += [f"{prefix} {name.replace('_', ' ')} {value}" for name, value in ahead.items()]
    if (learned := mounted.learned) is not None:
        lines += [f"learned started {learned.started}", f"learned packs {learned.packs.fetched}"]
        lines += [f"learned pack bytes {learned.packs.fetched_bytes}", f"learned profiles here {learned.local.count}"]
    return lines


def state(mounted: Mounted) -> dict[str, Any]:
    """For the state of the mount: `ahead` in numbers, whether it is on, and the directories that are to be filled."""
    ahead = mounted.adapter.ahead
    filled = [
        {"path": one.path.decode("utf-8", "backslashreplace"), "state": one.state, "done": one.done, "total": one.total}
        for one in mounted.filling()
    ]
    return {"prefetch": ahead.is_on, "ahead": dict(ahead.ledger.total.items()), "filling": filled}
