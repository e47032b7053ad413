"""`.cvmfs_status.json`: when a repository was last checked, collected and copied, for those who monitor it.

Source: format.md 1. Fields that others keep there stay.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from swrepo.errors import ObjectNotFound
from swrepo.format.wellknown import STATUS
from swrepo.objects.store import Documents, WritableDocuments

_FORM = "%a %b %d %H:%M:%S UTC %Y"


def read(documents: Documents) -> dict[str, Any]:
    """All fields; none where there is no such document, or one that cannot be read."""
    try:
        found = json.loads(documents.read(STATUS))
    except (ObjectNotFound, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def update(documents: WritableDocuments, **fields: str) -> None:
    """Set fields."""
    documents.write(STATUS, json.dumps({**read(documents), **fields}, indent=2).encode() + b"\n")


def moment(when: datetime) -> str:
    """A time as `date --utc` writes it."""
    utc = when.astimezone(UTC)
    return f"{utc:%a %b} {utc.day:2} {utc:%H:%M:%S} UTC {utc:%Y}"


def parse_moment(text: str) -> datetime | None:
    """The time that was written; None where that cannot be read."""
    try:
        return datetime.strptime(" ".join(text.split()), _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None
