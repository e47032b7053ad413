"""Transactions from the command line: the view of a repository on this server, and its publication."""

from __future__ import annotations

import math
import os
import sys
import time
from datetime import UTC, datetime

from swrepo.cli.output import note
from swrepo.cli.progress import Progress
from swrepo.errors import Busy, InTransaction, PublishError
from swrepo.format.paths import ROOT
from swrepo.objects.directory import writing
from swrepo.publish import overlay, settled
from swrepo.publish.changed import Touched
from swrepo.publish.cloning import CloneRequest, clone
from swrepo.publish.layout import RepositoryPlaces, ServerLayout
from swrepo.publish.opening import open_repository
from swrepo.publish.outcome import Outcome
from swrepo.publish.seal import TagRequest
from swrepo.publish.storage import opened
from swrepo.publish.template import Template
from swrepo.publish.transaction import Publisher
from swrepo.publish.union import Union, mount_by_command
from swrepo.system.lock import exclusive

_POLL = 1.0


def union_of(places: RepositoryPlaces) -> Union:
    """The view of a repository, mounted by this very program."""
    isolated = ["-I"] if sys.flags.isolated else []
    return Union(places, mount_by_command([sys.executable, *isolated, "-m", "swrepo.cli.main"]))


def renew_view(server: ServerLayout, fqrn: str) -> None:
    """Let the view, where there is one, show the revision that was made or chosen just now."""
    union_of(server.repository(fqrn)).renew()


def begin(server: ServerLayout, fqrn: str, *, wait: float | None = None, request: CloneRequest | None = None) -> int:
    """Open a transaction; for `wait` seconds try again while another one is open (0: for ever).

    Returns how many entries were cloned.
    """
    union = union_of(server.repository(fqrn))
    until = time.monotonic() if wait is None else time.monotonic() + wait if wait else math.inf
    while True:
        try:
            if not union.is_used and _holds_something(union.places):
                _check_that_nothing_is_lost(server, fqrn)
            with exclusive(union.places.lock, f"opening a transaction of {fqrn}"):
                start, entries = _cloned(union, request)
                union.begin(start)
                return entries
        except (InTransaction, Busy):
            if time.monotonic() >= until:
                raise
        time.sleep(_POLL)


def _cloned(union: Union, request: CloneRequest | None) -> tuple[Template | None, int]:
    """What the transaction starts from, where that is no published revision."""
    union.check_free()
    if request is None:
        return None, 0
    now_ns = time.time_ns()
    now = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    with writing(union.places.spool), Progress("cloning", "entries") as progress:
        repository = open_repository(union.places, opened, now)
        return clone(repository, request, now_ns, progress.advance)


def _holds_something(places: RepositoryPlaces) -> bool:
    """Not so where a repository was just taken over from another server, or is published from another directory, and
    its work tree is an empty mountpoint.
    """
    return settled.is_of(places.scan_record, places.worktree) or bool(os.listdir(places.worktree))


def _check_that_nothing_is_lost(server: ServerLayout, fqrn: str) -> None:
    """The first transaction hides the plain work tree: what is in there must have been published."""
    found: list[bytes] = []
    Publisher(server, report=lambda change: found.append(change.path)).sync(fqrn)
    others = [path for path in found if path != ROOT]
    if others:
        raise PublishError(
            f"the work tree of {fqrn} has changes that were not published ({os.fsdecode(others[0])}, for one), and a "
            "transaction would hide them; publish them first"
        )


def publish(publisher: Publisher, fqrn: str, tag: TagRequest) -> Outcome:
    """Publish what was changed in the open transaction, and close it. What fails leaves it open."""
    union = union_of(publisher.layout.repository(fqrn))
    os.chdir("/")  # else we would be the one who uses the view
    union.freeze()
    try:
        touched = changes(union)
        outcome = publisher.publish(fqrn, union.places.worktree, tag, touched)
    except BaseException:
        union.thaw()
        raise
    if users := union.end():
        note(f"{users}: still there, and sees the old state until it leaves {union.places.worktree}")
    return outcome


def changes(union: Union) -> Touched:
    """What was touched in the open transaction."""
    return overlay.touched(os.fsencode(union.upper))
