"""Every parameter of the client, one table: docs/configuration.md, warnings and `swrepo config` are made from it."""

from __future__ import annotations

from swrepo.config.parameter import Parameter
from swrepo.config.table import cache, metadata, monitoring, mounting, network

SECTIONS: tuple[tuple[str, tuple[Parameter, ...]], ...] = (
    ("Repositories, keys and mounts", mounting.ROWS),
    ("Names, owners and attributes", metadata.ROWS),
    ("Network", network.ROWS),
    ("Cache", cache.ROWS),
    ("Logs and monitoring", monitoring.ROWS),
)
TABLE: tuple[Parameter, ...] = tuple(row for _, rows in SECTIONS for row in rows)

_BY_NAME = {row.name: row for row in TABLE}
_PATTERNS = tuple(row for row in TABLE if "*" in row.name)


def find(name: str) -> Parameter | None:
    """The row about `name`, or None."""
    return _BY_NAME.get(name) or next((row for row in _PATTERNS if row.matches(name)), None)


def nearest(name: str) -> str | None:
    """The parameter that a misspelt `name` probably means."""
    import difflib

    near = difflib.get_close_matches(name, _BY_NAME, n=1, cutoff=0.8)
    return near[0] if near else None
