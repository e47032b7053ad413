"""The state of all mounts: tables for people, one document for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from swrepo.cli.administration.live import LiveMount
from swrepo.cli.diagnosis.mounts import silent
from swrepo.cli.output import size_text, write_json, write_table
from swrepo.cli.progress import bar

_MOUNT_HEADINGS = ("MOUNTED ON", "STATE", "PID", "UP", "MEMORY", "IN USE", "FETCHED AHEAD")
_HEADINGS = ("REPOSITORY", "REVISION", "PUBLISHED", "SIGNED FOR", "CACHE", "HITS", "FETCHED", "ERRORS", "FROM")
_FILLING_HEADINGS = ("TO BE FILLED", "STATE", "IS HERE")
_FILLING_STATES = {
    "waits": "waits for its first use",
    "runs": "is being filled",
    "done": "is here",
    "left": "was left: no room, or not to be had",
}
_DAY = 86400
_SOON = 3 * _DAY


def as_tables(mounts: Sequence[LiveMount]) -> int:
    """A table of mounts, one of repositories in use, and a sentence for each mount that does not answer."""
    if not mounts:
        print("Nothing is mounted. 'swrepo mount --all' shows all configured repositories below /cvmfs.")
        return 0
    _table(_MOUNT_HEADINGS, [_mount_row(mount) for mount in mounts])
    rows = [_repository_row(*found) for mount in mounts for found in mount.repositories()]
    if rows:
        print()
        _table(_HEADINGS, rows)
    if filled := [_filling_row(mount, one) for mount in mounts for one in (mount.state or {}).get("filling", ())]:
        print()
        _table(_FILLING_HEADINGS, filled)
    mute = [mount for mount in mounts if mount.state is None]
    for mount in mute:
        found = silent(mount)
        print(f"\n{found.text}\n  -> {found.mend}")
    return int(bool(mute))


def as_json(mounts: Sequence[LiveMount]) -> int:
    """What each mount says of itself, with the directory of each repository."""
    write_json({"mounts": [_document(mount) for mount in mounts]})
    return int(any(mount.state is None for mount in mounts))


def _document(mount: LiveMount) -> dict[str, Any]:
    if mount.state is None:
        found = silent(mount)
        return {
            "mountpoint": mount.mountpoint,
            "answers": False,
            "pid": mount.pid,
            "problem": found.text,
            "mend": found.mend,
            "repositories": [],
        }
    repositories = [
        repository | {"directory": directory, "hit_rate": _rate(repository)}
        for directory, repository in mount.repositories()
    ]
    return mount.state | {"answers": True, "socket": str(mount.socket), "repositories": repositories}


def _mount_row(mount: LiveMount) -> tuple[str, ...]:
    state = mount.state
    if state is None:
        return mount.mountpoint, "does not answer", str(mount.pid or "-"), "-", "-", "-", "-"
    count = len(state["repositories"])
    up, memory = _duration(state["uptime"]), size_text(state["memory"])
    ahead = _ahead(state.get("ahead")) if state.get("prefetch", True) else "is off"
    return mount.mountpoint, "answers", str(state["pid"]), up, memory, str(count), ahead


def _filling_row(mount: LiveMount, filling: dict[str, Any]) -> tuple[str, ...]:
    done, total = filling["done"], filling["total"]
    far = f"{bar(done / total)}, {size_text(done)} of {size_text(total)}" if total else "-"
    return mount.mountpoint + filling["path"], _FILLING_STATES.get(filling["state"], "-"), far


def _ahead(counters: dict[str, int] | None) -> str:
    """What came before anybody asked, and how much of it was of use; mounts of an earlier version do not say."""
    if not counters or not counters["fetched"]:
        return "-"
    used, fetched = counters["used_bytes"], counters["fetched_bytes"]
    return f"{size_text(fetched)}, {100 * used / fetched if fetched else 100:.0f} % used"


def _repository_row(_directory: str, repository: dict[str, Any]) -> tuple[str, ...]:
    used, limit = repository.get("cache_used"), repository.get("cache_limit")
    cache = "-" if used is None else size_text(used) + (f" of {size_text(limit)}" if limit else "")
    rate = _rate(repository)
    way = repository.get("host", "-")
    if repository.get("proxy", "DIRECT") != "DIRECT":
        way += f" through {repository['proxy']}"
    return (
        repository["fqrn"],
        str(repository["revision"]),
        _ago(repository.get("published")),
        _until(repository.get("whitelist_expires")),
        cache,
        "-" if rate is None else f"{100 * rate:.1f} %",
        str(repository["fetched"]),
        str(repository["failed"]),
        way,
    )


def _rate(repository: dict[str, Any]) -> float | None:
    """Hits of all that was asked of the cache, 0 to 1."""
    asked = repository["hits"] + repository["fetched"]
    return repository["hits"] / asked if asked else None


def _ago(timestamp: int | None) -> str:
    return "-" if not timestamp else f"{_duration(max(0, int(time.time()) - timestamp))} ago"


def _until(text: str | None) -> str:
    if not text:
        return "-"
    left = (datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()
    if left < 0:
        return f"EXPIRED {_duration(int(-left))} ago"
    return f"{_duration(int(left))}{' only' if left < _SOON else ''}"


def _duration(seconds: int) -> str:
    for unit, size in (("d", _DAY), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Lines of text where nobody watches: programs read those more easily than boxes."""
    if not sys.stdout.isatty():
        write_table(headings, rows)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings, box=SIMPLE_HEAD, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
