"""The repositories that this machine publishes: keys, and whitelists that are about to end; and its replicas."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from swrepo.cli.diagnosis.finding import Finding, error, ok, warning
from swrepo.cli.places import Places
from swrepo.errors import SwrepoError
from swrepo.publish import replica_settings
from swrepo.publish.key_report import report
from swrepo.publish.layout import ServerLayout
from swrepo.publish.storage import reading
from swrepo.upkeep import published_status

_OVERDUE = timedelta(days=1)
"""Replicas that were not brought up to date for so long are forgotten by somebody."""


def served(places: Places) -> Iterator[Finding]:
    """A line for each repository, and one for whatever has to be done; none on a machine that publishes nothing."""
    layout = ServerLayout(places.server_prefix)
    for fqrn in layout.repositories():
        try:
            yield from _repository(layout, fqrn)
        except (SwrepoError, OSError) as failure:
            yield error("server", f"{fqrn}: {failure}", f"swrepo server info {fqrn}")


def _repository(layout: ServerLayout, fqrn: str) -> Iterator[Finding]:
    now = datetime.now(UTC)
    if replica_settings.is_replica(layout.repository(fqrn)):
        yield _copy(layout, fqrn, now)
        return
    found = report(layout.repository(fqrn), now)
    for trouble in found.troubles:
        text, _, mend = trouble.partition(": ")
        yield warning("server", f"{fqrn}: {text}", mend or f"swrepo server keys show {fqrn}")
    if not found.troubles and found.ends is not None:
        yield ok("server", f"{fqrn} is published here; its whitelist holds for {(found.ends - now).days} days")


def _copy(layout: ServerLayout, fqrn: str, now: datetime) -> Finding:
    """Whether a replica is kept up to date."""
    places = layout.repository(fqrn)
    wanted = replica_settings.load(places)
    if wanted.is_passthrough:
        return ok("server", f"{fqrn}: requests are handed on to {wanted.stratum0}")
    text = str(published_status.read(reading(places)).get("last_snapshot", ""))
    last, mend = published_status.parse_moment(text), f"cvmfs_server snapshot {fqrn}"
    if last is None:
        return warning("server", f"{fqrn}: the replica was never filled", mend)
    if wanted.is_active and now - last > _OVERDUE:
        return warning("server", f"{fqrn}: the replica was last brought up to date {(now - last).days} days ago", mend)
    return ok("server", f"{fqrn} is a replica of {wanted.stratum0}, brought up to date at {last:%Y-%m-%d %H:%M} UTC")
