"""The catalogs of a revision as a tree, each before those below it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.format import envelope
from swrepo.format import manifest as manifests
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import ROOT
from swrepo.format.wellknown import MANIFEST
from swrepo.objects.store import Want
from swrepo.publish import checkout
from swrepo.publish.layout import ServerLayout
from swrepo.publish.plain import PlainObjects
from swrepo.publish.storage import reading


class Listed(NamedTuple):
    """A catalog: how deep below the root's, where, its object, plain bytes, and rows."""

    level: int
    path: bytes
    id: ObjectId
    size: int
    entries: int


def catalogs(layout: ServerLayout, fqrn: str) -> Iterator[Listed]:
    """Those of the newest revision, or of the one that was checked out; not those of snapshots."""
    places = layout.repository(fqrn)
    storage = reading(places)
    current = manifests.parse(envelope.split(storage.read(MANIFEST)).body)
    checked_out = checkout.read(places)
    root = current.root_catalog if checked_out is None else checked_out.root
    waiting = [(0, NestedRef(ROOT, root, None))]
    with tempfile.TemporaryDirectory() as scratch:
        objects = PlainObjects(storage, Path(scratch))
        while waiting:
            level, ref = waiting.pop()
            descriptor = objects.open(Want(ref.id, size=ref.size))
            try:
                size = os.fstat(descriptor).st_size
                with closing(CatalogFile.open(descriptor, ref.path)) as catalog:
                    entries = catalog.counters().own.entries
                    waiting += [(level + 1, inner) for inner in reversed(catalog.nested()) if not inner.is_bind]
            finally:
                os.close(descriptor)
            yield Listed(level, ref.path, ref.id, size, entries)
