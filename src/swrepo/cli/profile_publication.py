"""Profiles that are written into a work tree and published, without whatever else was changed in it.

Where transactions are made and none is open, the work tree cannot be written: then the profile has a transaction of its
own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from swrepo.cli import transactions
from swrepo.cli.progress import Progress
from swrepo.cli.publishing import collect_automatically
from swrepo.errors import NotInTransaction
from swrepo.format.wellknown import HOME
from swrepo.publish.changed import Touched
from swrepo.publish.hooks import Hook, hooks_around
from swrepo.publish.layout import ServerLayout
from swrepo.publish.outcome import Outcome
from swrepo.publish.seal import TagRequest
from swrepo.publish.transaction import Publisher

_PROFILES = Touched(frozenset({b"/" + HOME}))


def written(server: ServerLayout, fqrn: str, write: Callable[[Path], None]) -> None:
    """Have it written into the work tree, to be published by somebody else. NotInTransaction where that has to be."""
    union = transactions.union_of(server.repository(fqrn))
    if union.is_used and not union.is_open:
        raise NotInTransaction(
            f"the work tree of {fqrn} can be written in a transaction only; 'swrepo server transaction {fqrn}' opens "
            "one, and without --no-publish a profile has its own"
        )
    write(union.places.worktree)


def published(server: ServerLayout, fqrn: str, write: Callable[[Path], None]) -> Outcome:
    """Have it written into the work tree, and publish the profiles in there. A transaction that is open stays so."""
    union = transactions.union_of(server.repository(fqrn))
    is_ours = union.is_used and not union.is_open
    if is_ours:
        transactions.begin(server, fqrn)
    try:
        write(union.places.worktree)
        around = hooks_around(server, Hook.PUBLISH_BEFORE, Hook.PUBLISH_AFTER, fqrn)
        with around, Progress("publishing", "files") as progress:
            publisher = Publisher(server, progress)
            if is_ours:
                outcome = transactions.publish(publisher, fqrn, TagRequest())
            else:
                outcome = publisher.publish(fqrn, touched=_PROFILES)
    except BaseException:
        if is_ours and union.is_open:
            union.end()
        raise
    collect_automatically(server, fqrn, quiet=True)
    return outcome
