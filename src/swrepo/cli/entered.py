"""The writable view of `enter`, from within: what was changed in it, for a publication."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.cli.places import current
from swrepo.errors import NotInTransaction

if TYPE_CHECKING:
    from swrepo.publish.changed import Touched

SESSION = "CVMFS_ENTER_SESSION_DIR"
REPOSITORY = "CVMFS_FQRN"
PLACE = "SWREPO_ENTERED"
TRANSACTION = "transaction"
"""A file of the session: its changes may be published."""


def repository() -> str | None:
    """The repository whose view we are in."""
    environment = current().environment
    return environment.get(REPOSITORY) if SESSION in environment else None


def changes(fqrn: str) -> tuple[Path, Touched] | None:
    """The view of `fqrn` and what was touched in it; None where we are in none. NotInTransaction without -t."""
    environment = current().environment
    session, place = environment.get(SESSION), environment.get(PLACE)
    if session is None or place is None or environment.get(REPOSITORY) != fqrn:
        return None
    if not Path(session, TRANSACTION).exists():
        raise NotInTransaction(f"what was changed in {place} is to be forgotten; 'enter -t {fqrn}' makes a transaction")
    from swrepo.publish import overlay

    return Path(place), overlay.touched(os.fsencode(Path(session, "scratch/current")))
