"""What lies around an opened file, as the policy of neighbours wants to know it: from catalogs that are loaded."""

from __future__ import annotations

import os
from contextlib import closing
from typing import NamedTuple

from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.errors import SwrepoError
from swrepo.format.dirent import Dirent
from swrepo.format.paths import join
from swrepo.mount.ahead_places import Directory, File, package_of
from swrepo.objects.store import BringsAhead, LocalObjects, Want
from swrepo.repository.content import wanted_objects
from swrepo.repository.revision import Revision
from swrepo.vfs.tree import Vfs
from swrepo.vfs.volume import Volume

_ENTRIES = 512
"""Entries of one directory that are looked at, so that it takes a few milliseconds."""

_COMPILED = b"__pycache__"


class OpenedFile(NamedTuple):
    """What the policy is told: where the file is."""

    package: bytes
    name: bytes
    around: Around


class Opened(NamedTuple):
    """A file that was opened, and its repository."""

    volume: Volume
    file: OpenedFile


class Around:
    """Surroundings in the revision that is shown."""

    def __init__(self, revision: Revision, objects: BringsAhead) -> None:
        self._revision = revision
        self.objects = objects

    def directory(self, package: bytes, after: bytes | None) -> Directory | None:
        """See Surroundings."""
        catalog = self._revision.tree.find_loaded(package)
        if catalog is None:
            return None
        entries = _entries(catalog, package, after)
        directories = [entry.name for entry in entries if entry.is_directory]
        files = self._files(catalog, package, entries)
        if _COMPILED in directories:
            directories.remove(_COMPILED)
            inner = join(package, _COMPILED)
            compiled = self._revision.tree.find_loaded(inner)
            if compiled is not None:
                files += self._files(compiled, inner, _entries(compiled, inner, after))
        return Directory(tuple(files), tuple(join(package, name) for name in directories))

    def file(self, package: bytes, name: bytes) -> File | None:
        """See Surroundings."""
        for directory in (package, join(package, _COMPILED)):
            catalog = self._revision.tree.find_loaded(directory)
            entry = None if catalog is None else catalog.lookup(join(directory, name))
            if catalog is not None and entry is not None:
                return next(iter(self._files(catalog, directory, [entry])), None)
        return None

    @staticmethod
    def _files(catalog: CatalogFile, directory: bytes, entries: list[Dirent]) -> list[File]:
        found: list[File] = []
        for entry in entries:
            if entry.is_regular and not entry.is_external and entry.size > 0:
                chunks = catalog.chunks(join(directory, entry.name)) if entry.is_chunked else ()
                found.append(File(entry.name, wanted_objects(entry, chunks), entry.size))
        return found


def opened(vfs: Vfs, number: int) -> Opened | None:
    """What is known of a file that was opened; None where it is not of the revision that is shown. With the lock."""
    try:
        where = vfs.whereabouts(number)
        described = None if where is None else vfs.described(number)
    except SwrepoError:
        return None
    if where is None or described is None:
        return None
    volume, directory, _ = where
    objects = volume.revision.objects
    if not isinstance(objects, BringsAhead):
        return None
    return Opened(volume, OpenedFile(package_of(directory), described.entry.name, Around(volume.revision, objects)))


def nested_in(objects: LocalObjects, want: Want, mountpoint: bytes) -> tuple[NestedRef, ...]:
    """What a catalog mounts that is here, and not loaded; nothing where it is not here."""
    descriptor = objects.open_if_here(want)
    if descriptor is None:
        return ()
    try:
        with closing(CatalogFile.open(descriptor, mountpoint)) as catalog:
            return catalog.nested()
    finally:
        os.close(descriptor)


def _entries(catalog: CatalogFile, directory: bytes, after: bytes | None) -> list[Dirent]:
    """Of a long directory, those that follow the file `after`."""
    entries = catalog.listing(directory, 0, _ENTRIES)
    if len(entries) < _ENTRIES or after is None:
        return entries
    entry = catalog.lookup(join(directory, after))
    return entries if entry is None else catalog.listing(directory, entry.rowid, _ENTRIES)
