"""What the settings say about watching a mount: attributes, metrics, figures that are sent."""

from __future__ import annotations

from dataclasses import dataclass

from swrepo.config.values import Values

VISIBILITIES = ("rootonly", "never", "always")
LOG_FORMATS = ("text", "json")
_PORTS = 1 << 16
_OFTENEST = 5
"""Seconds between two packets, as in the original."""


@dataclass(frozen=True, slots=True)
class TelemetryParameters:
    """Counters go to this InfluxDB (UDP) every `rate` seconds, called `name`, with more `tags` and `fields`."""

    host: str
    port: int
    name: str
    rate: int
    tags: str
    fields: str


@dataclass(frozen=True, slots=True)
class TraceParameters:
    """Requests are written to `file`, when there are more than `threshold`; up to `size` of them wait for that."""

    file: str
    size: int
    threshold: int


@dataclass(frozen=True, slots=True)
class WatchingParameters:
    """`listings`: where the client's own attributes are listed. Only the groups `privileged` read what is `protected`.

    `metrics`: HOST:PORT or the path of a socket where they can be had.
    """

    listings: str = "rootonly"
    protected: frozenset[str] = frozenset()
    privileged: frozenset[int] = frozenset()
    metrics: str | None = None
    telemetry: TelemetryParameters | None = None
    trace: TraceParameters | None = None


def watching_parameters(values: Values) -> WatchingParameters:
    """Raises ConfigError, which names the parameter, its place and what fits."""
    listings = word(values, "CVMFS_MAGIC_XATTRS_VISIBILITY", VISIBILITIES)
    groups = values.items("CVMFS_XATTR_PRIVILEGED_GIDS", ", ")
    if not all(group.isascii() and group.isdigit() for group in groups):
        raise values.refuse("CVMFS_XATTR_PRIVILEGED_GIDS", "a list of group numbers with commas between")
    return WatchingParameters(
        listings="never" if values.switch("CVMFS_HIDE_MAGIC_XATTRS", default=False) else listings,
        protected=frozenset(values.items("CVMFS_XATTR_PROTECTED_XATTRS", ", ")),
        privileged=frozenset(map(int, groups)),
        metrics=_address(values),
        telemetry=_telemetry(values),
        trace=_trace(values),
    )


def word(values: Values, name: str, known: tuple[str, ...]) -> str:
    """One of the `known` words; the first where nothing is set."""
    text = values.text(name)
    if text is None:
        return known[0]
    if text.lower() not in known:
        raise values.refuse(name, f"one of {', '.join(known)}")
    return text.lower()


def _address(values: Values) -> str | None:
    text = values.text("CVMFS_METRICS")
    if text is None or text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < _PORTS:
        raise values.refuse("CVMFS_METRICS", "HOST:PORT, or the path of a socket")
    return text


def _trace(values: Values) -> TraceParameters | None:
    file = values.text("CVMFS_TRACEFILE")
    if file is None:
        return None
    size = values.number("CVMFS_TRACEBUFFER", 8192, least=2)
    if "CVMFS_TRACEBUFFER_THRESHOLD" not in values.settings:
        return TraceParameters(file, size, min(7000, size - 1))
    return TraceParameters(file, size, values.number("CVMFS_TRACEBUFFER_THRESHOLD", 7000, most=size - 1))


def _telemetry(values: Values) -> TelemetryParameters | None:
    if not values.switch("CVMFS_TELEMETRY_SEND", default=False):
        return None
    host, name = values.text("CVMFS_INFLUX_HOST"), values.text("CVMFS_INFLUX_METRIC_NAME")
    port = values.number("CVMFS_INFLUX_PORT", 0, most=_PORTS - 1)
    if host is None or name is None or not port:
        raise values.refuse(
            "CVMFS_TELEMETRY_SEND",
            "enough: CVMFS_INFLUX_HOST, CVMFS_INFLUX_PORT and CVMFS_INFLUX_METRIC_NAME say where to",
        )
    return TelemetryParameters(
        host,
        port,
        name,
        rate=max(_OFTENEST, values.number("CVMFS_TELEMETRY_RATE", 300)),
        tags=values.text("CVMFS_INFLUX_EXTRA_TAGS") or "",
        fields=values.text("CVMFS_INFLUX_EXTRA_FIELDS") or "",
    )
