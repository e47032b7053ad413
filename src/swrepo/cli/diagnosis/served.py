"""The repositories that this machine publishes: keys, and whitelists that are about to end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from swrepo.cli.diagnosis.finding import Finding, error, ok, warning
from swrepo.cli.places import Places
from swrepo.errors import SwrepoError
from swrepo.publish.key_report import report
from swrepo.publish.layout import ServerLayout


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
    found = report(layout.repository(fqrn), now)
    for trouble in found.troubles:
        text, _, mend = trouble.partition(": ")
        yield warning("server", f"{fqrn}: {text}", mend or f"swrepo server keys show {fqrn}")
    if not found.troubles and found.ends is not None:
        yield ok("server", f"{fqrn} is published here; its whitelist holds for {(found.ends - now).days} days")
