"""Brings objects from the origin into the storage, many at a time, each once, and none whose bytes are not its name's.

Small ones go in batches, each over a few connections that its thread keeps (net.batch); large ones one by one, by way
of a file. What is in the storage already is not asked for.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from swrepo.errors import SwrepoError
from swrepo.format.object_id import ObjectId
from swrepo.publish.storage import FlushableStore
from swrepo.replica.origin import Origin

_SMALL = 1 << 20
"""Plain bytes of an object that is held in memory."""

_BATCH = 256
_BATCH_BYTES = 8 << 20
_IN_MEMORY = 4 << 20
_PARTS = 4
"""Each batch has that part of the connections."""

_AHEAD = 4
"""Batches, or large objects, that wait for their turn, for each thread."""


@dataclass(slots=True)
class Carried:
    """What was looked at, and what of it had to come: objects and stored bytes."""

    objects: int = 0
    fetched: int = 0
    fetched_bytes: int = 0


class Carrier:
    """One replication's transport. `want` and `settle` are for one thread; `arrived` is called from any."""

    def __init__(
        self, origin: Origin, store: FlushableStore, scratch: Path, workers: int, arrived: Callable[[int, int], object]
    ) -> None:
        """`arrived` is told how many objects came, or were there, and their stored bytes."""
        self.carried = Carried()
        self._origin, self._store, self._scratch = origin, store, scratch
        self._arrived = arrived
        self._batches = ThreadPoolExecutor(max(1, min(_PARTS, workers)), thread_name_prefix="replica-small")
        self._singles = ThreadPoolExecutor(workers, thread_name_prefix="replica")
        self._room = threading.Semaphore((max(1, min(_PARTS, workers)) + workers) * _AHEAD)
        self._changed = threading.Condition()
        self._under_way: set[ObjectId] = set()  # guarded by _changed
        self._failure: BaseException | None = None  # guarded by _changed
        self._small: list[tuple[ObjectId, int]] = []
        self._small_bytes = 0

    def want(self, name: ObjectId, plain_size: int | None) -> None:
        """Have the object in the storage after the next `settle`. Raises what an earlier one met."""
        with self._changed:
            self._raise()
            if name in self._under_way:
                return
        if self._store.has(name):
            self._count(0, 0)
            return
        with self._changed:
            self._under_way.add(name)
        if plain_size is not None and plain_size <= _SMALL:
            self._small.append((name, plain_size))
            self._small_bytes += plain_size
            if len(self._small) >= _BATCH or self._small_bytes >= _BATCH_BYTES:
                self._send_batch()
        else:
            self._room.acquire()
            self._singles.submit(self._guarded, [name], lambda: self._bring(name, plain_size))

    def settle(self) -> None:
        """Wait until all that was wanted is in the storage, durably. Raises what the first that failed met."""
        self._send_batch()
        with self._changed:
            while self._under_way and self._failure is None:
                self._changed.wait()
            self._raise()
        self._store.flush()

    def close(self) -> None:
        """Let what is under way end, and keep what came."""
        with self._changed:
            self._failure = self._failure or RuntimeError("the replication has ended")
        self._batches.shutdown()
        self._singles.shutdown()
        with suppress(SwrepoError):  # a full disk, most likely: then what ended the replication says so
            self._store.flush()

    def _send_batch(self) -> None:
        batch, self._small, self._small_bytes = self._small, [], 0
        if batch:
            self._room.acquire()
            self._batches.submit(self._guarded, [name for name, _ in batch], lambda: self._bring_batch(batch))

    def _guarded(self, names: list[ObjectId], work: Callable[[], object]) -> None:
        try:
            if self._failure is None:
                work()
        except BaseException as error:  # noqa: BLE001 - raised again by `want` or `settle`
            with self._changed:
                self._failure = self._failure or error
        finally:
            self._room.release()
            with self._changed:
                self._under_way.difference_update(names)
                self._changed.notify_all()

    def _bring_batch(self, batch: list[tuple[ObjectId, int]]) -> None:
        sizes = dict(batch)
        for name in self._origin.fetch_many(batch, self._keep):
            if self._failure is None:
                self._bring(name, sizes[name])

    def _bring(self, name: ObjectId, plain_size: int | None) -> None:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._scratch)) as file:
            stored = cast("BinaryIO", file)
            self._origin.fetch(name, plain_size, stored)
            size = stored.tell()
            stored.seek(0)
            self._store.put(name, stored)
        self._count(1, size)

    def _keep(self, name: ObjectId, stored: bytes) -> None:
        self._store.put(name, stored)
        self._count(1, len(stored))

    def _count(self, fetched: int, size: int) -> None:
        with self._changed:
            self.carried.objects += 1
            self.carried.fetched += fetched
            self.carried.fetched_bytes += size
        self._arrived(1, size)

    def _raise(self) -> None:
        if self._failure is not None:
            if isinstance(self._failure, SwrepoError):
                raise self._failure
            raise RuntimeError("a replication broke off") from self._failure
