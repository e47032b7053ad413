"""Opens a repository of a server for work on what is published already; one at a time, publications among them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from swrepo.errors import InTransaction, UsageError
from swrepo.objects.directory import writing
from swrepo.publish.layout import RepositoryPlaces, ServerLayout
from swrepo.publish.opening import OpenRepository, open_repository
from swrepo.publish.seal import Sealer
from swrepo.publish.storage import OpenStorage, opened
from swrepo.system.lock import exclusive

_NANOSECONDS = 1_000_000_000

Clock = Callable[[], datetime]
"""The time (UTC)."""


def collection_lock(places: RepositoryPlaces) -> Path:
    """Held while objects are removed, and by those who must find what they saw a moment ago."""
    return places.spool / "collecting.lock"


def refuse_transaction(repository: OpenRepository) -> None:
    """InTransaction while one is open: it changes a revision that must stay the newest until then."""
    places = repository.places
    if places.in_transaction.exists():
        raise InTransaction(f"a transaction of {places.fqrn} is open; publish or abort it first")


def refuse_unfinished(repository: OpenRepository) -> None:
    """The same, and UsageError while the next publication is to go to a branch."""
    refuse_transaction(repository)
    if repository.checkout is not None:
        raise UsageError(
            f"{repository.places.fqrn} is checked out to the branch {repository.checkout.branch}; publish, or go back "
            "to the default branch with 'checkout' without options"
        )


@dataclass(frozen=True, slots=True)
class Keeper:
    """How the repositories of a server are worked on; the defaults are those of the real thing."""

    layout: ServerLayout
    clock_ns: Callable[[], int] = time.time_ns
    open_storage: OpenStorage = opened

    @contextmanager
    def open(self, fqrn: str, purpose: str) -> Iterator[OpenRepository]:
        """The repository, with its lock. `purpose` is what others are told who want it meanwhile.

        Raises what `open_repository` raises, and Busy.
        """
        places = self.layout.repository(fqrn)
        with exclusive(places.lock, f"{purpose} {fqrn}", self._seconds), writing(places.spool):
            yield open_repository(places, self.open_storage, self.now())

    def sealer(self, repository: OpenRepository) -> Sealer:
        """What makes the next state of the repository current."""
        return Sealer.of(repository, self.clock_ns() // 1_000_000)

    def now(self) -> datetime:
        """The time (UTC)."""
        return datetime.fromtimestamp(self.clock_ns() // _NANOSECONDS, UTC)

    def _seconds(self) -> float:
        return self.clock_ns() / _NANOSECONDS
