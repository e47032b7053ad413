"""Which copies of a server are due, and that no more replications of all run at a time than the machine bears."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from swrepo.config.values import Values
from swrepo.errors import Busy, NotFound, SwrepoError
from swrepo.publish import replica_settings, settings
from swrepo.publish.layout import ServerLayout
from swrepo.publish.replica_settings import is_replica
from swrepo.publish.storage import reading
from swrepo.system.lock import exclusive
from swrepo.upkeep import published_status

_NEVER = datetime.min.replace(tzinfo=UTC)


def due(layout: ServerLayout, group: str, *, skip_initial: bool) -> list[str]:
    """The active copies of a group, the one that waited longest first; those without a first copy where wanted."""
    found: list[tuple[datetime, str]] = []
    for name in layout.repositories():
        places = layout.repository(name)
        if not is_replica(places):
            continue
        wanted = replica_settings.load(places)
        if wanted.is_passthrough or not wanted.is_active or wanted.group != group:
            continue
        try:
            text = str(published_status.read(reading(places)).get("last_snapshot", ""))
        except SwrepoError:  # its storage is out of order, which its replication will say
            text = ""
        last = published_status.parse_moment(text) or _NEVER
        if last != _NEVER or not skip_initial:
            found.append((last, name))
    return [name for _, name in sorted(found)]


@contextmanager
def one_of_few(layout: ServerLayout, most: int) -> Iterator[int]:
    """Be one of at most so many runs over all copies; its number. Busy where there are so many."""
    directory = layout.prefix / "var/spool/cvmfs/.snapshots"
    with ExitStack() as stack:
        for number in range(most):
            try:
                stack.enter_context(exclusive(directory / f"{number}.lock", "replicating all"))
            except Busy:
                continue
            yield number
            return
        raise Busy(f"{most} runs over all replicas are under way, which is the limit (CVMFS_MAX_PARALLEL_SNAPSHOTS)")


def most_runs(layout: ServerLayout, given: str | None) -> int:
    """CVMFS_MAX_PARALLEL_SNAPSHOTS, from the environment or server.local; the number of processors."""
    if given is not None and given.isdecimal():
        return int(given)
    try:
        found = settings.read(layout.local)
    except NotFound:
        found = {}
    return Values(found).number("CVMFS_MAX_PARALLEL_SNAPSHOTS", os.cpu_count() or 1, least=1)


def log_directory(layout: ServerLayout) -> Path:
    """Where runs over all copies leave what they did."""
    return layout.prefix / "var/log/cvmfs"
