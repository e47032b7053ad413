"""Catalogs that a replication goes through: out of the storage, from an earlier run, or from the origin.

One that came from the origin lies aside until all that it names is in the storage, and is put there then. What an
interrupted run left aside is found again, so no catalog travels twice.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.errors import CorruptObject
from swrepo.format.object_id import ObjectId
from swrepo.objects import codec
from swrepo.objects.store import ObjectSource, Want
from swrepo.publish.storage import FlushableStore
from swrepo.replica.origin import Origin
from swrepo.system.atomic import make_directory

_BLOCK = 1 << 20


class Catalogs:
    """The catalogs of one repository. `announce`, `open` and `store` are for one thread; close it."""

    def __init__(
        self, origin: Origin, source: ObjectSource, store: FlushableStore, directory: Path, workers: int
    ) -> None:
        """`source` reads the storage that `store` fills; `directory` is where catalogs lie aside."""
        self.fetched = 0
        self.fetched_bytes = 0
        self._origin, self._source, self._store = origin, source, store
        self._aside = directory
        make_directory(directory, 0o700)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="replica-catalogs")
        self._coming: dict[ObjectId, Future[None]] = {}
        self._lock = threading.Lock()  # guards the counters

    def announce(self, names: Iterable[NestedRef]) -> None:
        """Begin to fetch what will be opened soon."""
        for ref in names:
            if ref.id not in self._coming and not self._path(ref.id).exists() and not self._store.has(ref.id):
                self._coming[ref.id] = self._pool.submit(self._fetch, ref)

    @contextmanager
    def open(self, ref: NestedRef) -> Iterator[CatalogFile]:
        """The catalog. Raises ObjectNotFound, Unreachable, CorruptObject, FormatError."""
        with tempfile.TemporaryFile(dir=self._aside) as plain:
            self._decode(ref, plain)
            plain.flush()
            with closing(CatalogFile.open(plain.fileno(), ref.path)) as catalog:
                yield catalog

    def store(self, name: ObjectId) -> None:
        """Put a catalog into the storage, all of whose contents are there; a no-op where it is."""
        path = self._path(name)
        with suppress(FileNotFoundError), path.open("rb") as file:
            self._store.put(name, file)

    def dismiss(self, name: ObjectId) -> None:
        """Remove what lies aside of a catalog that is in the storage durably."""
        self._path(name).unlink(missing_ok=True)

    def close(self) -> None:
        """Let what is under way end; what lies aside stays."""
        self._pool.shutdown(cancel_futures=True)

    def _decode(self, ref: NestedRef, plain: BinaryIO) -> None:
        want = Want(ref.id, size=ref.size)
        if not self._path(ref.id).exists() and ref.id not in self._coming and self._store.has(ref.id):
            self._source.fetch(want, plain)
            return
        if not self._decoded(want, ref, plain):
            # It was left by a run that was interrupted, and never synced.
            self._path(ref.id).unlink(missing_ok=True)
            plain.seek(0)
            plain.truncate()
            self._read(want, ref, plain)

    def _decoded(self, want: Want, ref: NestedRef, plain: BinaryIO) -> bool:
        try:
            self._read(want, ref, plain)
        except CorruptObject:
            return False
        return True

    def _read(self, want: Want, ref: NestedRef, plain: BinaryIO) -> None:
        self._arrived(ref)
        with self._path(ref.id).open("rb") as stored:
            codec.decode(iter(lambda: stored.read(_BLOCK), b""), want, plain)

    def _arrived(self, ref: NestedRef) -> None:
        coming = self._coming.pop(ref.id, None)
        if coming is not None:
            coming.result()
        if not self._path(ref.id).exists():
            self._fetch(ref)

    def _fetch(self, ref: NestedRef) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=self._aside)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                self._origin.fetch(ref.id, ref.size, file)
                size = file.tell()
            os.rename(temporary, self._path(ref.id))
        except BaseException:
            os.unlink(temporary)
            raise
        with self._lock:
            self.fetched += 1
            self.fetched_bytes += size

    def _path(self, name: ObjectId) -> Path:
        return self._aside / name.name


def discard_unfinished(directory: Path) -> None:
    """Remove what killed runs left of catalogs that had not arrived."""
    for path in directory.glob("tmp*"):
        path.unlink(missing_ok=True)
