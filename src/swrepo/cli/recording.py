"""Keeps statistics of what a command does, in the repository's database. Where that fails, a line says so, no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from swrepo.cli.output import note
from swrepo.errors import Busy, NotFound, SwrepoError, UsageError
from swrepo.publish.changes import Difference
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.outcome import Outcome
from swrepo.publish.statistics import COLLECTIONS, PUBLICATIONS, Tally, is_printed, record, upload
from swrepo.publish.storage import reading

_NOT_BEGUN = (Busy, NotFound, UsageError)


class Recorder:
    """The report of a publication; `outcome` is set when it succeeded."""

    def __init__(self, listing: Callable[[Difference], None] | None) -> None:
        self.tally = Tally()
        self.outcome: Outcome | None = None
        self._listing = listing

    def __call__(self, found: Difference) -> None:
        self.tally(found)
        if self._listing is not None:
            self._listing(found)


@contextmanager
def recorded(
    places: RepositoryPlaces, listing: Callable[[Difference], None] | None, *, quiet: bool
) -> Iterator[Recorder]:
    """A row for the publication in the block, also where it fails once it has begun."""
    started, recorder = datetime.now(UTC), Recorder(listing)
    try:
        yield recorder
    except _NOT_BEGUN:
        raise
    except BaseException:
        with suppress(SwrepoError):  # what is told is why the publication failed; often it is the same
            _keep(places, PUBLICATIONS, recorder.tally.row(None), started)
        raise
    values = recorder.tally.row(recorder.outcome)
    _record(places, PUBLICATIONS, values, started)
    if is_printed(places) and not quiet:
        for name, value in values.items():
            print(f"{name}: {value:,}")


def record_collection(places: RepositoryPlaces, values: Mapping[str, int], started: datetime) -> None:
    """A row for a garbage collection that ended well."""
    _record(places, COLLECTIONS, {**values, "success": 1}, started)


def _record(places: RepositoryPlaces, table: str, values: Mapping[str, int], started: datetime) -> None:
    try:
        _keep(places, table, values, started)
    except SwrepoError as error:
        note(f"{places.fqrn}: {error}")


def _keep(places: RepositoryPlaces, table: str, values: Mapping[str, int], started: datetime) -> None:
    record(places, table, values, started, datetime.now(UTC))
    upload(places, reading(places))
