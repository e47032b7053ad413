"""One revision of a repository as a file tree: look up, list, read.

Paths are bytes, `b""` the root (`format.paths.normalise` makes one of what a person types). Everything below a root
catalog is fixed by its name, so a Revision never changes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self

from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.tree import CatalogTree
from swrepo.errors import FormatError, IsADirectory, NotADirectory, NotASymlink, PathNotFound
from swrepo.format import variant, xattr
from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import ROOT
from swrepo.objects.store import LocalObjects, Want
from swrepo.repository.content import Content
from swrepo.trust.chain import TrustedManifest


class Revision:
    """A file tree, read-only. Safe from any thread. `root` is the name of its root catalog."""

    def __init__(self, root: ObjectId, objects: LocalObjects, size: int | None = None) -> None:
        """Open the tree below a root catalog whose name is already trusted: from a manifest, or a tag of its history.

        `size` is the catalog's, in plain bytes, where it is known. Raises what `objects.open` raises, and FormatError.
        """
        self.root = root
        self.objects = objects
        self.tree = CatalogTree(self._open_catalog(NestedRef(ROOT, root, size)), self._open_catalog)
        if self.tree.root.root_prefix != ROOT:
            self.tree.close()
            raise FormatError(f"the catalog {root} is that of {self.tree.root.root_prefix!r} and not a root catalog")

    @classmethod
    def of(cls, trusted: TrustedManifest, objects: LocalObjects) -> Self:
        """The revision that a manifest names."""
        return cls(trusted.manifest.root_catalog, objects, trusted.manifest.root_size)

    @property
    def number(self) -> int:
        """The revision's number, as its root catalog has it."""
        return self.tree.root.revision

    def find(self, path: bytes) -> Dirent | None:
        """The entry at `path`, hidden ones too, or None."""
        return self.tree.lookup(path)

    def lookup(self, path: bytes) -> Dirent:
        """The entry at `path`; PathNotFound."""
        entry = self.tree.lookup(path)
        if entry is None:
            raise PathNotFound(f"no such file or directory: {_shown(path)}")
        return entry

    def listing(self, path: bytes) -> list[Dirent]:
        """The entries of a directory, in the catalog's order, hidden ones left out; PathNotFound, NotADirectory."""
        if not self.lookup(path).is_directory:
            raise NotADirectory(f"not a directory: {_shown(path)}")
        return self.tree.listing(path)

    def readlink(self, path: bytes, environment: Mapping[str, str]) -> bytes:
        """The target of a symlink, with variables from `environment`; PathNotFound, NotASymlink."""
        entry = self.lookup(path)
        if not entry.is_symlink:
            raise NotASymlink(f"not a symbolic link: {_shown(path)}")
        return variant.expand(entry.symlink, environment)

    def xattrs(self, path: bytes) -> dict[bytes, bytes]:
        """The published extended attributes; PathNotFound."""
        return xattr.decode(self.lookup(path).xattr_blob)

    def chunks(self, path: bytes) -> tuple[Chunk, ...]:
        """The chunks of a file; empty where it is one object."""
        return self.tree.chunks(path)

    def content(self, path: bytes) -> Content:
        """A regular file, open for reading (nothing is fetched yet); PathNotFound, IsADirectory, FormatError."""
        entry = self.lookup(path)
        if entry.is_directory:
            raise IsADirectory(f"is a directory: {_shown(path)}")
        return Content(entry, self.chunks(path) if entry.is_chunked else (), self.objects, path)

    def inode(self, path: bytes) -> tuple[bytes, int]:
        """What the names of one file share and no other file has: its catalog's mountpoint and a row number."""
        catalog = self.tree.holder(path)
        entry = self.lookup(path)
        row = entry.rowid
        if entry.hardlink_group and not entry.is_directory:
            row = catalog.hardlink_leader(entry.hardlink_group) or row
        return catalog.mountpoint, row

    def has_catalog(self, path: bytes) -> bool:
        """Whether the next catalog on the way to what lies in the directory `path` is open, or on the disk."""
        ref = self.tree.missing(path)
        if ref is None:
            return True
        descriptor = self.objects.open_if_here(Want(ref.id, size=ref.size))
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is not None

    def close(self) -> None:
        """Close the catalogs. No other method may be called afterwards; files that are open stay so."""
        self.tree.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_catalog(self, ref: NestedRef) -> CatalogFile:
        descriptor = self.objects.open(Want(ref.id, size=ref.size))
        try:
            return CatalogFile.open(descriptor, ref.path)
        finally:
            os.close(descriptor)


def _shown(path: bytes) -> str:
    return (path or b"/").decode("utf-8", "backslashreplace")
