"""From a Vfs to the record of what it shows, and back: how a worker goes on where one that died left off.

Numbers that the kernel knows keep their meaning. Those that cannot be restored stay taken, so that none of them ever
comes to mean another file; the kernel is told ESTALE and looks the path up again.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Mapping
from contextlib import suppress

from swrepo.catalog.reader import CatalogFile
from swrepo.errors import SwrepoError
from swrepo.repository.revision import Revision
from swrepo.vfs.journal import Shown, SpanRecord, Stale, VolumeRecord
from swrepo.vfs.nodes import NodeTable, Span
from swrepo.vfs.volume import Volume

log = logging.getLogger(__name__)

OpenVolume = Callable[[VolumeRecord], tuple[Revision, Mapping[str, str]]]
"""Opens the revision that a record names; raises what opening raises."""


def span_record(volume: Volume, span: Span) -> SpanRecord:
    """The record of a span that was just given out to a catalog of the volume's revision."""
    return SpanRecord(span.base, span.size, volume.name, _mountpoint(span), volume.revision.root)


def shown(volumes: Mapping[str, Volume], nodes: NodeTable, top: Span, unsaid: Stale) -> Shown:
    """The full record. `top`: the span of the mount's root."""
    found = []
    for span in nodes.spans():
        owner = span.owner
        assert isinstance(owner, Volume)  # noqa: S101 - every span of the table belongs to one
        moved = {row: (target.base, at) for row, (target, at) in span.moved.items()}
        root = owner.revision.root if span.catalog is not None else None
        found.append(SpanRecord(span.base, span.size, owner.name, _mountpoint(span), root, moved, dict(span.frozen)))
    records = tuple(
        VolumeRecord(
            volume.name,
            volume.revision.root,
            volume.previous.root if volume.previous else None,
            volume.epoch,
            tuple(volume.past.roots.items()),
        )
        for volume in volumes.values()
    )
    target = top.moved.get(0)
    return Shown(records, tuple(found), (target[0].base, target[1]) if target is not None else None, unsaid)


def restore(
    before: Shown, later: list[SpanRecord], nodes: NodeTable, top: Span, open_volume: OpenVolume
) -> list[Volume]:
    """The volumes as they were, their numbers in `nodes`. `later`: spans given out after the full record.

    Raises what opening a repository's root catalog raises; a nested catalog that cannot be had costs its numbers only.
    """
    volumes = {record.name: _volume(record, nodes, open_volume) for record in before.volumes}
    records = _in_force([*before.spans, *later])
    spans: dict[int, Span] = {}
    for base in sorted(records, key=lambda base: records[base].mountpoint):  # upper catalogs before those below them
        record = records[base]
        volume = volumes.get(record.volume)
        if volume is not None:
            spans[base] = _restore_span(record, volume, nodes)
    for base, span in spans.items():
        for row, (target, at) in records[base].moved.items():
            if target in spans and nodes.is_known(base + row):
                span.moved[row] = (spans[target], at)
                spans[target].alias[at] = base + row
    if before.top is not None and before.top[0] in spans:
        target, row = before.top
        top.moved[0] = (spans[target], row)
        spans[target].alias[row] = top.base
    for span in spans.values():
        nodes.release(span)  # those that nobody knows any more
    return list(volumes.values())


def _volume(record: VolumeRecord, nodes: NodeTable, open_volume: OpenVolume) -> Volume:
    revision, variables = open_volume(record)
    volume = Volume(record.name, revision, variables, nodes)
    volume.epoch = record.epoch
    volume.past.roots.update(record.past)
    if record.previous is not None:
        with suppress(SwrepoError):  # only for listings that were begun in it
            volume.previous = Revision(record.previous, revision.objects)
    return volume


def _restore_span(record: SpanRecord, volume: Volume, nodes: NodeTable) -> Span:
    span = Span(record.base, record.size, volume, None)
    nodes.restore(span)
    span.frozen = {row: entry for row, entry in record.frozen.items() if nodes.is_known(record.base + row)}
    if record.root == volume.revision.root:
        span.catalog = _catalog(record, volume.revision)
        if span.catalog is not None:
            volume.adopt(span)
    return span


def _catalog(record: SpanRecord, revision: Revision) -> CatalogFile | None:
    try:
        catalog = revision.tree.find(record.mountpoint)
    except SwrepoError as error:
        log.warning("what was open below %r has to be looked up again: %s", record.mountpoint, error)
        return None
    return catalog if catalog.mountpoint == record.mountpoint and catalog.max_rowid + 1 == record.size else None


def _in_force(given: list[SpanRecord]) -> dict[int, SpanRecord]:
    """By base, without those whose numbers were given out again."""
    found: dict[int, SpanRecord] = {}
    bases: list[int] = []
    for record in given:
        at = bisect_left(bases, record.base + record.size)
        while at and (other := found[bases[at - 1]]).base + other.size > record.base:
            at -= 1
            del found[bases.pop(at)]
        bases.insert(at, record.base)
        found[record.base] = record
    return found


def _mountpoint(span: Span) -> bytes:
    return span.catalog.mountpoint if span.catalog is not None else b""
