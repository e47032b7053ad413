"""Which catalog answers for a path: the tree of nested catalogs, loaded as they are needed.

A mountpoint is a row of both catalogs. Its own entry is always taken from the upper one (`holder`), so that looking at
a directory loads nothing and an entry keeps its row number when the lower one is loaded; what lies in it comes from the
lower one (`find`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from swrepo.catalog.directories import Directories
from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.warm import Warm
from swrepo.errors import FormatError
from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.paths import ROOT, parent
from swrepo.system.activity import Gate

_MOMENT = 1.0
"""Seconds for which those who waited for a load share its failure."""

_DEEPEST = 256
"""Catalogs above one another. A signed repository cannot be endless, but its snapshots can hold one another's."""


class CatalogTree:
    """The catalogs of one revision. Safe from any thread; different nested catalogs load at the same time.

    `load` opens the catalog of a reference at its path; what it raises goes to the caller; the next try loads again.
    """

    def __init__(self, root: CatalogFile, load: Callable[[NestedRef], CatalogFile]) -> None:
        self.root = root
        self._load_file = load
        self._lock = threading.Lock()
        self._warm = Warm()
        self._directories = Directories()
        root.remember_in(self._directories)
        # Changed under _lock and read without it. Whoever finds a mount with a catalog also finds the mounts below it:
        # they are put here before, and taken away after.
        self._mounts: dict[bytes, _Mount] = {ROOT: _Mount(None, ROOT, 0, root)}
        self._mounts.update(_below(root, 0))

    def find(self, path: bytes) -> CatalogFile:
        """The catalog that lists the directory `path` and holds all below it, loaded if need be."""
        while True:
            mount = self._nearest(path)
            catalog = mount.catalog
            if catalog is not None:
                return catalog
            self._load(mount)

    def find_loaded(self, path: bytes) -> CatalogFile | None:
        """The same, but None where a catalog would have to be loaded."""
        return self._nearest(path).catalog

    def missing(self, path: bytes) -> NestedRef | None:
        """The catalog that `find` would load next; None where it has all it needs."""
        mount = self._nearest(path)
        return mount.ref if mount.catalog is None else None

    def holder(self, path: bytes) -> CatalogFile:
        """The catalog whose row is the entry of `path`: that of its directory."""
        return self.find(parent(path)) if path else self.root

    def lookup(self, path: bytes) -> Dirent | None:
        """The entry at `path`, None where there is none."""
        return self.holder(path).lookup(path)

    def listing(self, path: bytes) -> list[Dirent]:
        """The entries of a directory in the order of their rows; empty for anything else."""
        return self.find(path).listing(path)

    def chunks(self, path: bytes) -> tuple[Chunk, ...]:
        """The chunks of the file at `path`; empty where it has none."""
        return self.holder(path).chunks(path)

    def mounted(self, path: bytes) -> NestedRef | None:
        """What is mounted at `path`; None for the root and for paths that are no mountpoints."""
        self.holder(path)
        mount = self._mounts.get(path)
        return mount.ref if mount is not None else None

    def loaded(self) -> list[CatalogFile]:
        """Every catalog that is open, by mountpoint."""
        found = [mount.catalog for mount in list(self._mounts.values())]
        return sorted((catalog for catalog in found if catalog is not None), key=lambda catalog: catalog.mountpoint)

    def forget(self, path: bytes) -> None:
        """Let go of the catalog mounted at `path` and of all below it, so that a long walk keeps few files open.

        They close once nobody uses them any more, and load again when they are needed. The root's stays.
        """
        with self._lock:
            mount = self._mounts.get(path)
            if mount is None or mount.ref is None:
                return
            waiting = [mount]
            while waiting:
                mount = waiting.pop()
                catalog, mount.catalog = mount.catalog, None
                if catalog is not None:
                    waiting.extend(self._mounts.pop(ref.path) for ref in catalog.nested())

    def rest(self) -> None:
        """Let go of connections and memory; each catalog opens again when it is needed, without being fetched."""
        self._directories.clear()
        for catalog in self.loaded():
            catalog.park()

    def close(self) -> None:
        """Close every catalog. No other method may be called afterwards."""
        for catalog in self.loaded():
            catalog.close()

    def _nearest(self, path: bytes) -> _Mount:
        while True:
            mount = self._mounts.get(path)
            if mount is not None:
                return mount
            path = path.rpartition(b"/")[0]

    def _load(self, mount: _Mount) -> None:
        ref = mount.ref
        if ref is None:
            raise RuntimeError("the root catalog is always loaded")
        with mount.gate as waited:
            if mount.catalog is not None:
                return  # somebody else was here first
            if waited and mount.failure is not None and time.monotonic() - mount.failed_at < _MOMENT:
                raise mount.failure  # not one after another what has just failed, and may have taken minutes
            try:
                catalog = self._load_file(ref)
            except Exception as error:
                mount.failure, mount.failed_at = error, time.monotonic()
                raise
            try:
                _check_prefix(catalog, ref, mount.prefix)
                below = _below(catalog, mount.depth)
            except BaseException:
                catalog.close()
                raise
            catalog.keep_warm(self._warm)
            catalog.remember_in(self._directories)
            with self._lock:
                self._mounts.update(below)
                mount.catalog = catalog


class _Mount:
    """A place for a catalog: what is to be mounted there (None: the root), the prefix that it must claim, its depth."""

    __slots__ = ("catalog", "depth", "failed_at", "failure", "gate", "prefix", "ref")

    def __init__(self, ref: NestedRef | None, prefix: bytes, depth: int, catalog: CatalogFile | None = None) -> None:
        self.ref = ref
        self.prefix = prefix
        self.depth = depth
        self.catalog = catalog
        self.failure: Exception | None = None
        self.failed_at = 0.0
        self.gate = Gate()  # held while the catalog is loaded


def _below(catalog: CatalogFile, depth: int) -> dict[bytes, _Mount]:
    if depth >= _DEEPEST:
        raise FormatError(f"more than {_DEEPEST} catalogs above one another at {catalog.mountpoint!r}")
    return {
        ref.path: _Mount(ref, ROOT if ref.is_bind else catalog.local(ref.path), depth + 1) for ref in catalog.nested()
    }


def _check_prefix(catalog: CatalogFile, ref: NestedRef, prefix: bytes) -> None:
    if catalog.root_prefix != prefix:
        raise FormatError(
            f"the catalog {ref.id} is that of {catalog.root_prefix!r} and cannot be mounted at {ref.path!r}"
        )
