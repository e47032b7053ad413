"""Which catalog answers for a path: the tree of nested catalogs, loaded as they are needed.

A mountpoint is a row of both catalogs. Its own entry is always taken from the upper one (`holder`), so that looking at
a directory loads nothing and an entry keeps its row number when the lower one is loaded; what lies in it comes from the
lower one (`find`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from swrepo.catalog.reader import CatalogFile, NestedRef
from swrepo.errors import FormatError
from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.paths import ROOT, parent

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
        self._gates: dict[bytes, threading.Lock] = {}  # guarded by _lock; each guards the loading of one path
        # Changed under _lock, read without it: each change is one atomic `update`.
        self._known: dict[bytes, CatalogFile | _Unloaded] = {ROOT: root}
        self._known.update(self._below(root, 0))

    def find(self, path: bytes) -> CatalogFile:
        """The catalog that lists the directory `path` and holds all below it, loaded if need be."""
        while True:
            known = self._nearest(path)
            if isinstance(known, CatalogFile):
                return known
            self._load(known)

    def find_loaded(self, path: bytes) -> CatalogFile | None:
        """The same, but None where a catalog would have to be loaded."""
        known = self._nearest(path)
        return known if isinstance(known, CatalogFile) else None

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

    def loaded(self) -> list[CatalogFile]:
        """Every catalog that is open, by mountpoint."""
        known = list(self._known.values())
        return sorted((item for item in known if isinstance(item, CatalogFile)), key=lambda item: item.mountpoint)

    def close(self) -> None:
        """Close every catalog. No other method may be called afterwards."""
        for catalog in self.loaded():
            catalog.close()

    def _nearest(self, path: bytes) -> CatalogFile | _Unloaded:
        while True:
            known = self._known.get(path)
            if known is not None:
                return known
            path = path.rpartition(b"/")[0]

    def _load(self, unloaded: _Unloaded) -> None:
        path = unloaded.ref.path
        with self._lock:
            gate = self._gates.setdefault(path, threading.Lock())
        with gate:
            if self._known[path] is not unloaded:
                return  # somebody else was here first
            catalog = self._load_file(unloaded.ref)
            try:
                self._check_prefix(catalog, unloaded)
                below = self._below(catalog, unloaded.depth)
            except BaseException:
                catalog.close()
                raise
            with self._lock:
                # What is below first: whoever finds the catalog must find that its mountpoints are not its own.
                self._known.update(below)
                self._known[path] = catalog
                del self._gates[path]

    def _check_prefix(self, catalog: CatalogFile, unloaded: _Unloaded) -> None:
        if catalog.root_prefix != unloaded.prefix:
            raise FormatError(
                f"the catalog {unloaded.ref.id} is that of {catalog.root_prefix!r} "
                f"and cannot be mounted at {unloaded.ref.path!r}"
            )

    def _below(self, catalog: CatalogFile, depth: int) -> dict[bytes, CatalogFile | _Unloaded]:
        if depth >= _DEEPEST:
            raise FormatError(f"more than {_DEEPEST} catalogs above one another at {catalog.mountpoint!r}")
        return {
            ref.path: _Unloaded(ref, ROOT if ref.is_bind else catalog.local(ref.path), depth + 1)
            for ref in catalog.nested()
        }


class _Unloaded:
    """A catalog that is known of: the prefix that it must claim, and how many are above it."""

    __slots__ = ("depth", "prefix", "ref")

    def __init__(self, ref: NestedRef, prefix: bytes, depth: int) -> None:
        self.ref = ref
        self.prefix = prefix
        self.depth = depth
