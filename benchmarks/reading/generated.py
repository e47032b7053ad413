"""A repository of many entries, written as catalogs at once: no plain files, no content objects."""

from __future__ import annotations

import random
import stat
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from swrepo.catalog import schema
from swrepo.catalog.counters import Counters, Statistics
from swrepo.catalog.nested import NestedRef
from swrepo.catalog.writer import CatalogWriter
from swrepo.format import envelope, manifest
from swrepo.format.dirent import Dirent, Flag
from swrepo.format.object_id import Kind
from swrepo.format.paths import ROOT
from swrepo.format.wellknown import MANIFEST
from swrepo.publish import keyring
from swrepo.publish.encoder import Encoder
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.plain import PlainObjects
from swrepo.publish.seal import Sealer, TagRequest
from swrepo.publish.storage import in_directory

_CATALOGS = 20
_DIRECTORIES = 50
_MTIME = 1_780_000_000


def publish_generated(places: RepositoryPlaces, entries: int) -> int:
    """Publish about `entries` entries in 20 nested catalogs of 50 directories each; how many there are."""
    files = max(1, entries // (_CATALOGS * _DIRECTORIES) - 1)
    now = datetime.fromtimestamp(time.time(), UTC)
    keys, storage = keyring.prepare(places.keys, places.fqrn, now), in_directory(places)
    sealer = Sealer(
        fqrn=places.fqrn,
        store=storage.store,
        documents=storage.documents,
        objects=PlainObjects(storage.source, places.scratch),
        encoder=Encoder(),
        key=keys.signing,
        certificate_pem=keys.certificate_pem,
        scratch=places.scratch,
        checksum_file=places.reflog_checksum,
        now_ms=int(now.timestamp() * 1000),
    )
    root, total = _root_catalog(sealer, places.scratch, files)
    last = manifest.parse(envelope.split(storage.documents.read(MANIFEST)).body)
    sealer.seal(replace(last, revision=last.revision + 1), root, TagRequest(), auto_tag=False)
    return total.entries - _CATALOGS  # a mountpoint is a row of two catalogs


def _root_catalog(sealer: Sealer, scratch: Path, files: int) -> tuple[NestedRef, Counters]:
    writer = CatalogWriter.create(scratch / "root", _directory(b"", _CATALOGS))
    source = random.Random(3)
    for number in range(_CATALOGS):
        path = b"/part%02d" % number
        writer.add(path, _directory(b"", _DIRECTORIES))
        ref, counters = _nested_catalog(sealer, scratch / "nested", path, files, source)
        writer.set_nested(ref)
        writer.subtree += counters
    total = writer.own + writer.subtree
    size = writer.finish(_properties({schema.KEY_REVISION: "2", schema.KEY_TTL: "3600"}))
    return NestedRef(ROOT, sealer.save_file(scratch / "root", Kind.CATALOG), size), total


def _nested_catalog(
    sealer: Sealer, file: Path, path: bytes, files: int, source: random.Random
) -> tuple[NestedRef, Counters]:
    writer = CatalogWriter.create(file, _directory(b"", _DIRECTORIES), path)
    for number in range(_DIRECTORIES):
        inner = b"%s/set%02d" % (path, number)
        writer.add(inner, _directory(b"", 0))
        for index in range(files):
            writer.add(b"%s/measurement-%04d.dat" % (inner, index), _file(source.randbytes(20), index))
    statistics = Statistics(writer.own)
    size = writer.finish(_properties({schema.KEY_REVISION: "1"}))
    return NestedRef(path, sealer.save_file(file, Kind.CATALOG), size), statistics.total


def _properties(more: dict[str, str]) -> dict[str, str]:
    return {schema.KEY_LAST_MODIFIED: str(_MTIME), schema.KEY_PREVIOUS_REVISION: "0" * 40, **more}


def _directory(name: bytes, inner: int) -> Dirent:
    mode = stat.S_IFDIR | 0o755
    return Dirent(name, mode, 4096, _MTIME, 0, 0, 0, int(Flag.DIRECTORY), 2 + inner, b"", None, None)


def _file(digest: bytes, number: int) -> Dirent:
    return Dirent(b"", stat.S_IFREG | 0o644, number, _MTIME, 0, 0, 0, int(Flag.FILE), 1, b"", digest, None)
