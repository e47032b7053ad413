"""`/.cvmfs/snapshots`: every tag as a directory, where `CVMFS_VIRTUAL_DIR` wants it. Source: format.md 6.

`/.cvmfs` is hidden: nobody lists it, and who names it finds it. It has a catalog of its own, in which the root catalogs
of the tags are mounted; so a snapshot costs one row, and is as old as its tag in everything, its own snapshots too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from swrepo.catalog import schema
from swrepo.catalog.counters import Counters, Statistics
from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.writer import CatalogWriter
from swrepo.format.dirent import Dirent, Flag, content_flags
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.paths import ROOT, join
from swrepo.format.wellknown import NESTED_MARKER, RESERVED_DIRECTORY, TRUNK, TRUNK_PREVIOUS
from swrepo.objects.store import Want
from swrepo.publish.opening import OpenRepository
from swrepo.publish.seal import Sealer
from swrepo.repository.history import HistoryWriter, Tag, open_history
from swrepo.upkeep.opening import Keeper

_TOP = join(ROOT, RESERVED_DIRECTORY)
_SNAPSHOTS = join(_TOP, b"snapshots")
_DIRECTORY_MODE = 0o40555
_FILE_MODE = 0o100444
_DIRECTORY_SIZE = 97
_SHIFT = 32


def refresh(keeper: Keeper, fqrn: str) -> int | None:
    """Make the directory what the tags and the settings ask for; the new revision's number, None where it was right."""
    with keeper.open(fqrn, "refreshing the snapshots of") as repository:
        with _opened(repository, repository.manifest.root_catalog) as (root, _):
            old = next((ref for ref in root.nested() if ref.path == _TOP), None)
            wanted = repository.settings.virtual_dir
            if not wanted and old is None:
                return None
            tags = _tags(repository) if wanted else []
            if wanted and old is not None and _shown(repository, old) == {tag.name: tag.root for tag in tags}:
                return None
            edit = _Edit(repository, keeper.sealer(repository))
            made = edit.root(root, old, edit.catalog(tags) if wanted else None)
        return edit.seal(made).revision


@dataclass(frozen=True, slots=True)
class _Edit:
    """The new catalogs."""

    repository: OpenRepository
    sealer: Sealer

    def catalog(self, tags: list[Tag]) -> tuple[NestedRef, Dirent, Counters]:
        """The catalog of the directory: its name, its own directory's row, and what it holds."""
        file = self.repository.places.scratch / "snapshots"
        top = self._directory(RESERVED_DIRECTORY, 3)._replace(flags=int(Flag.DIRECTORY | Flag.HIDDEN))
        writer = CatalogWriter.create(file, top, _TOP)
        writer.add(join(_TOP, NESTED_MARKER), self._marker())
        writer.add(_SNAPSHOTS, self._directory(b"snapshots", 2 + len(tags)))
        for tag in tags:
            with _opened(self.repository, tag.root) as (catalog, size):
                directory = catalog.lookup(ROOT)
            if directory is None:
                continue
            name = tag.name.encode("utf-8", "surrogateescape")
            writer.add(join(_SNAPSHOTS, name), directory._replace(name=name, xattr_blob=None, rowid=0))
            writer.set_nested(NestedRef(join(_SNAPSHOTS, name), tag.root, size, is_bind=True))
        statistics = Statistics(writer.own, Counters())
        size = writer.finish({schema.KEY_REVISION: "1", schema.KEY_LAST_MODIFIED: str(self._now)})
        return NestedRef(_TOP, self.sealer.save_file(file, Kind.CATALOG), size), top, statistics.total

    def root(
        self, root: CatalogFile, old: NestedRef | None, new: tuple[NestedRef, Dirent, Counters] | None
    ) -> NestedRef:
        """The root catalog with the directory, or without it."""
        file, current = self.repository.places.scratch / "root", self.repository.manifest
        writer = CatalogWriter.edit(root, file)
        if old is not None:
            writer.remove(_TOP)
            with _opened(self.repository, old.id, _TOP) as (catalog, _):
                writer.subtree -= catalog.counters().total
        if new is not None:
            ref, directory, counters = new
            writer.add(_TOP, directory)
            writer.set_nested(ref)
            writer.subtree += counters
        top = writer.lookup(ROOT)
        assert top is not None  # noqa: S101 - every root catalog has it
        links = top.linkcount + (new is not None) - (old is not None)
        writer.replace(ROOT, top._replace(hardlinks=top.hardlink_group << _SHIFT | links))
        size = writer.finish(
            {
                schema.KEY_REVISION: str(current.revision + 1),
                schema.KEY_PREVIOUS_REVISION: current.root_catalog.text,
                schema.KEY_LAST_MODIFIED: str(self._now),
            }
        )
        return NestedRef(ROOT, self.sealer.save_file(file, Kind.CATALOG), size)

    def seal(self, root: NestedRef) -> Manifest:
        """Publish it; what an undo leads back to stays the publication before."""

        def edit(writer: HistoryWriter, manifest: Manifest) -> None:
            trunk = writer.find(TRUNK)
            new = (root.id, manifest.root_size or 0, manifest.revision, manifest.timestamp or 0)
            if trunk is None:
                writer.advance(*new)
            else:
                writer.add(replace(trunk, root=new[0], size=new[1], revision=new[2], timestamp=new[3]))

        current = self.repository.manifest
        return self.sealer.amend(replace(current, revision=current.revision + 1), root, edit)

    @property
    def _now(self) -> int:
        return self.sealer.now_ms // 1000

    def _directory(self, name: bytes, links: int) -> Dirent:
        flags = int(Flag.DIRECTORY)
        return Dirent(name, _DIRECTORY_MODE, _DIRECTORY_SIZE, self._now, None, 0, 0, flags, links, b"", None, None)

    def _marker(self) -> Dirent:
        encoder = self.repository.settings.encoder
        stored = encoder.encode(b"")
        content = encoder.named(stored, Kind.FILE)
        self.repository.storage.store.put(content, stored)
        flags = int(Flag.FILE) | content_flags(encoder.algorithm, encoder.compression)
        return Dirent(NESTED_MARKER, _FILE_MODE, 0, self._now, None, 0, 0, flags, 1, b"", content.digest, None)


def _tags(repository: OpenRepository) -> list[Tag]:
    """Those that are shown, by name; one that cannot be a directory's name is not."""
    if repository.manifest.history is None:
        return []
    with closing(open_history(repository.manifest.history, repository.objects)) as history:
        tags = history.tags()
    hidden = (TRUNK, TRUNK_PREVIOUS, ".", "..")
    return sorted((tag for tag in tags if tag.name not in hidden and "/" not in tag.name), key=lambda tag: tag.name)


def _shown(repository: OpenRepository, ref: NestedRef) -> dict[str, ObjectId]:
    with _opened(repository, ref.id, ref.path) as (catalog, _):
        mounted = [inner for inner in catalog.nested() if inner.is_bind]
    return {inner.path.rpartition(b"/")[2].decode("utf-8", "surrogateescape"): inner.id for inner in mounted}


@contextmanager
def _opened(repository: OpenRepository, name: ObjectId, path: bytes = ROOT) -> Iterator[tuple[CatalogFile, int]]:
    """A catalog and its size in plain bytes."""
    descriptor = repository.objects.open(Want(name))
    try:
        size = os.fstat(descriptor).st_size
        catalog = CatalogFile.open(descriptor, path)
    finally:
        os.close(descriptor)
    with closing(catalog):
        yield catalog, size
