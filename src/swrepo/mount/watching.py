"""How a mount may be watched: what listings of attributes show, where its metrics are, where its record lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

ROOT_ONLY, NEVER, ALWAYS = "rootonly", "never", "always"


@dataclass(frozen=True, slots=True)
class Visibility:
    """Which listings show magic attributes; who may read those that are `protected`: root, and groups `privileged`."""

    listings: str = ROOT_ONLY
    protected: frozenset[str] = frozenset()
    privileged: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Counters go to this InfluxDB (UDP) every `rate` seconds, called `name`, with more `tags` and `fields`."""

    host: str
    port: int
    name: str
    rate: float = 300.0
    tags: str = ""
    fields: str = ""


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """Requests are written to `file`, when there are more than `threshold`; up to `size` of them wait for that."""

    file: str
    size: int = 8192
    threshold: int = 7000


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """`metrics`: HOST:PORT or the path of a socket. `records`: a directory for the records of all mounts of a user."""

    visibility: Visibility = field(default_factory=Visibility)
    metrics: str | None = None
    records: Path | None = None
    telemetry: Telemetry | None = None
    trace: TraceOptions | None = None


NOTHING_MORE = WatchOptions()
