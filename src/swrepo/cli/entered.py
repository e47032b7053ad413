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
    return Path(place), _with_earlier(Path(session), fqrn)


def _with_earlier(session: Path, fqrn: str) -> Touched:
    """What was touched, and what earlier publications from this view took: it may be gone without a trace, for the view
    is still that of the revision before them.

    It is noted before it is published: a path that is named once too often costs a look.
    """
    from swrepo.publish import overlay
    from swrepo.publish.changed import Touched
    from swrepo.system.atomic import write_atomically

    found = overlay.touched(os.fsencode(session / "scratch/current"))
    sets = []
    for name, paths in (("trees", found.trees), ("entries", found.entries)):
        file = session / f"{fqrn}.{name}"
        earlier = file.read_bytes().split(b"\0") if file.exists() else []
        sets.append(paths.union(earlier[1:]))
        write_atomically(file, b"".join(b"\0" + path for path in sorted(sets[-1])))
    return Touched(sets[0], sets[1], is_merged=True)
