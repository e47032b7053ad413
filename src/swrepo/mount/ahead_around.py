"""What lies around an opened file, as the policy of neighbours wants to know it: from catalogs that are loaded."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import closing
from typing import NamedTuple

from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.errors import SwrepoError
from swrepo.format.dirent import Dirent
from swrepo.format.paths import basename, join, parent
from swrepo.mount.ahead_places import Directory, File, package_of
from swrepo.objects.store import BringsAhead, LocalObjects, Want
from swrepo.repository.content import wanted_objects
from swrepo.repository.revision import Revision
from swrepo.vfs.tree import Vfs
from swrepo.vfs.volume import Volume

_ENTRIES = 512
"""Entries of one directory that are looked at, so that it takes a few milliseconds."""

_LISTED, _REMEMBERED = 1024, 4096
"""Entries of a directory that is looked at as a whole where names are looked for; directories that are remembered."""

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

    def catalog(self, directory: bytes) -> CatalogFile | None:
        """The catalog that has what is in it, if that is loaded."""
        return self._revision.tree.find_loaded(directory)

    def described(self, directory: bytes, entry: Dirent) -> File | None:
        """A file that is in that directory; None of anything else."""
        catalog = self.catalog(directory)
        return None if catalog is None else next(iter(self._files(catalog, directory, [entry])), None)

    @staticmethod
    def _files(catalog: CatalogFile, directory: bytes, entries: list[Dirent]) -> list[File]:
        found: list[File] = []
        for entry in entries:
            if entry.is_regular and not entry.is_external and entry.size > 0:
                chunks = catalog.chunks(join(directory, entry.name)) if entry.is_chunked else ()
                found.append(File(entry.name, wanted_objects(entry, chunks), entry.size))
        return found


class Listed:
    """See ahead_named.Tree: what was looked for once is remembered. With the lock."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._directories: dict[bytes, _Listing | None] = {}
        self._modules: dict[bytes, set[bytes]] = {}

    def file(self, directory: bytes, name: bytes) -> File | None:
        """See Tree."""
        for place in (directory, join(directory, _COMPILED)):
            listing = self._listing(place)
            if listing is None:
                return self._around.file(directory, name)
            entry = listing.entries.get(name)
            if entry is not None:
                return self._around.described(place, entry)
        return None

    def may_have(self, directory: bytes, module: bytes) -> bool:
        """See Tree."""
        try:
            return module in self._modules[directory]
        except KeyError:
            pass
        listings = [self._listing(place) for place in (directory, join(directory, _COMPILED))]
        found = {name for listing in listings if listing is not None for name in (*listing.stems, *listing.directories)}
        if directory in self._directories and None not in listings:
            self._modules[directory] = found
        return module in found

    def module(self, directory: bytes, name: bytes, endings: Collection[bytes]) -> File | None:
        """See Tree."""
        for place in (join(directory, _COMPILED), directory):
            listing = self._listing(place)
            if listing is not None:
                for candidate in listing.stems.get(name, ()):
                    if candidate[len(name) :] in endings:
                        return self._around.described(place, listing.entries[candidate])
        return None

    def _listing(self, directory: bytes) -> _Listing | None:
        """The files of a directory; None of one that is too long, which is remembered, too."""
        try:
            return self._directories[directory]
        except KeyError:
            pass
        above = self._listing(parent(directory)) if directory else None
        if above is not None and basename(directory) not in above.directories:
            return _NOTHING
        catalog = self._around.catalog(directory)
        if catalog is None:
            return _NOTHING
        entries = catalog.listing(directory, 0, _LISTED)
        if len(self._directories) >= _REMEMBERED:
            self._directories.clear()
            self._modules.clear()
        found = self._directories[directory] = _Listing(entries) if len(entries) < _LISTED else None
        return found


class _Listing:
    """The files of a directory, by their names, and by these up to the first dot; and which directories are in it."""

    __slots__ = ("directories", "entries", "stems")

    def __init__(self, entries: Sequence[Dirent]) -> None:
        self.directories = {entry.name for entry in entries if entry.is_directory}
        self.entries = {entry.name: entry for entry in entries if entry.is_regular}
        self.stems: dict[bytes, list[bytes]] = {}
        for name in self.entries:
            self.stems.setdefault(name.partition(b".")[0], []).append(name)


_NOTHING = _Listing(())


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
