"""Every parameter of a server.conf: docs/configuration.md, remarks and `config explain` are made from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from swrepo.config.files import Setting
from swrepo.config.parameter import Parameter, Standing
from swrepo.config.table import server_contents, server_storage, server_upkeep

SECTIONS: tuple[tuple[str, tuple[Parameter, ...]], ...] = (
    ("Repository and places", server_storage.PLACES),
    ("What is published", server_contents.CONTENTS),
    ("Catalogs and limits", server_contents.CATALOGS),
    ("Tags, garbage and checks", server_upkeep.ROWS),
    ("Transactions", server_upkeep.TRANSACTIONS),
    ("Replicas and their server", server_upkeep.REPLICAS),
    ("Storage in S3", server_storage.S3),
)
TABLE: tuple[Parameter, ...] = tuple(row for _, rows in SECTIONS for row in rows)

_BY_NAME = {row.name: row for row in TABLE}
_OURS = ("CVMFS_", "SWREPO_")


def find(name: str) -> Parameter | None:
    """The row about `name`, or None."""
    return _BY_NAME.get(name)


def nearest(name: str) -> str | None:
    """The parameter that a misspelt `name` probably means."""
    import difflib

    near = difflib.get_close_matches(name, _BY_NAME, n=1, cutoff=0.8)
    return near[0] if near else None


def refusal(name: str, value: str) -> str | None:
    """Why `name` must not be set to `value`; None where it may."""
    row = find(name)
    if row is None or row.standing is not Standing.REFUSED or row.asks_for_nothing(value):
        return None
    return row.reason


def remarks(settings: Mapping[str, Setting]) -> Iterator[str]:
    """One sentence for each parameter that is none."""
    for name, setting in settings.items():
        if find(name) is None and name.startswith(_OURS):
            near = nearest(name)
            yield f"{setting.origin}: there is no parameter {name}{f'; did you mean {near}?' if near else ''}"
