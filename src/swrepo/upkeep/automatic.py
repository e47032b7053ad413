"""Garbage collection by itself, after publications: `CVMFS_AUTO_GC`, `_TIMESPAN` and `_LAPSE`."""

from __future__ import annotations

from contextlib import ExitStack

from swrepo.config import moments
from swrepo.format.object_id import ObjectId
from swrepo.publish import replica_settings
from swrepo.publish.progress import Progress, Silent
from swrepo.publish.storage import reading
from swrepo.upkeep import published_status
from swrepo.upkeep.collectable import may_collect
from swrepo.upkeep.garbage import Collected, Collection, Keep
from swrepo.upkeep.opening import Keeper

_SILENT = Silent()


def collect_if_due(keeper: Keeper, fqrn: str, progress: Progress = _SILENT) -> Collected | None:
    """Collect where the repository's settings want it and the last time is long enough ago; None otherwise."""
    places = keeper.layout.repository(fqrn)
    wanted, now = replica_settings.of_any(places), keeper.now()
    if not (wanted.auto_gc and may_collect(places)):
        return None
    status = published_status.read(reading(places))
    last = published_status.parse_moment(str(status.get("last_gc", "")))
    if last is not None and last >= moments.parse(wanted.auto_gc_lapse, now):
        return None
    keep = Keep(since=int(moments.parse(wanted.auto_gc_timespan, now).timestamp()))
    with ExitStack() as stack:
        name = wanted.gc_deletion_log
        log = stack.enter_context(open(name, "a", encoding="utf-8")) if name else None

        def deleted(object_id: ObjectId) -> None:
            if log is not None:
                print(object_id, file=log)

        return Collection(keeper, keep, progress, deleted).run(fqrn)
