"""Many objects into a directory for the price of two syncs.

One fsync for each small object costs a publisher most of its time (measured: 3.3 ms for each of 3,000 objects, against
0.06 ms in a batch). So objects are written to `data/txn` first; a flush makes all of them durable with one `syncfs`,
and only then gives them their names (objects.naming). Where there is a process for it, whoever puts does not wait.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from swrepo.format.object_id import ObjectId
from swrepo.objects.directory import write_error, writing
from swrepo.objects.files import write_object
from swrepo.objects.naming import Namer, Sync, make_names_durable, name_all
from swrepo.objects.outbox import Outbox, Written
from swrepo.objects.store import ObjectStore
from swrepo.system.filesystem import sync_filesystem

_TXN = "data/txn"
_PREFIX = "batch."
_MAX_PENDING = 10_000
"""Objects that wait for their names: bounds the memory, and what a crash makes us do again."""
_MAX_PENDING_BYTES = 128 << 20
_ENOUGH = 1_000
_ENOUGH_BYTES = 16 << 20
"""What a namer that has nothing to do begins with: the less is left for the end, where everybody waits for the disk."""


class ObjectBatch:
    """ObjectStore over the directory `root` of `store`; nothing is durable, or has its name, before `flush`.

    Safe from any thread: others go on putting while one flushes. One process at a time: it removes what a predecessor
    that was killed left in `data/txn`.
    """

    def __init__(self, root: Path, store: ObjectStore, sync: Sync = sync_filesystem) -> None:
        self._sync = sync
        self._namer: Namer | None = None  # guarded by _flushing
        self._is_naming = False  # guarded by _flushing: whether the namer has what is under way
        self._unsettled: set[str] = set()  # guarded by _flushing: directories with names that may not be on the disk
        # Strings: for each small object, Path objects would take as long as the file system.
        self._root = os.fspath(root)
        self._border = root
        self._prefix = f"{self._root}/{_TXN}/{_PREFIX}{os.getpid()}."
        self._store = store
        self._lock = threading.Lock()
        self._flushing = threading.Lock()  # taken before _lock; held for a whole flush
        self._pending: dict[str, str] = {}  # guarded by _lock: the object's path below `root` -> its temporary file
        self._under_way: dict[str, str] = {}  # guarded by _lock: the same, of the flush that is under way
        self._pending_bytes = 0  # guarded by _lock
        self._counter = itertools.count()
        self._places = _Places(self._prefix)
        self.stored_objects = 0
        """How many objects were new."""
        self.stored_bytes = 0
        self._remove_leftovers()

    def has(self, object_id: ObjectId) -> bool:
        return self._has(object_id, object_id.path)

    def put(self, object_id: ObjectId, stored: bytes | BinaryIO) -> None:
        """Write to be named by the next flush. CorruptObject where the bytes are not those of that name."""
        path = object_id.path
        if self._has(object_id, path):
            return
        temporary = f"{self._places.of_this_thread()}/{next(self._counter)}"
        try:
            size = write_object(temporary, object_id, stored)
        except OSError as error:
            raise write_error(self._border, error) from error
        if self._enter([(path, temporary, size)]):
            self.begin_flush()

    def name(self, batch: Mapping[str, str]) -> None:
        """What a Namer does with a batch, wherever it does it. Which names may be lost yet is the caller's to know."""
        name_all(self._border, batch, self._sync)

    def outbox(self) -> Outbox:
        """What another process writes with. What it hands over it gives to `take`, in this process."""
        return Outbox(self._root, self._places.another())

    def take(self, written: Iterable[Written], found: Iterable[ObjectId]) -> None:
        """Name with the next flush what was written to an outbox; `found` are objects that were there already."""
        for object_id in found:
            self._store.has(object_id)  # its name has to be durable too
        if self._enter(written) or self._is_worth_beginning():
            self.begin_flush()

    def delegate(self, namer: Namer | None) -> None:
        """Have names given by `namer`; None: by whoever flushes, once the last namer has done its part."""
        with self._flushing, writing(self._border):
            try:
                self._join()
            finally:
                self._namer = namer

    def delete(self, object_id: ObjectId) -> None:
        with self._flushing, writing(self._border):
            self._join()
            with self._lock:
                temporary = self._pending.pop(object_id.path, None)
        if temporary is not None:
            os.unlink(temporary)
        self._store.delete(object_id)

    def list(self) -> Iterator[ObjectId]:
        self.flush()
        return self._store.list()

    def flush(self) -> None:
        """Make everything that was put durable under its name."""
        with self._flushing, writing(self._border):
            self._join()
            self._flush()

    def begin_flush(self) -> None:
        """Do so soon: now, where there is nobody else who does it."""
        with self._flushing, writing(self._border):
            self._join()
            if self._namer is None:
                self._flush()
            elif batch := self._taken():
                self._is_naming = True
                self._namer.begin(batch)

    def _flush(self) -> None:
        batch = self._taken()
        with self._ending(batch):
            if batch:
                self.name(batch)
                self._note(batch)
        if self._unsettled:
            make_names_durable(self._border, self._unsettled, self._sync)
            self._unsettled.clear()
        self._places.clear()

    def _join(self) -> None:
        """Wait for what the namer has begun."""
        if self._namer is not None and self._is_naming:
            self._is_naming = False
            with self._ending(self._under_way):
                self._namer.finish()
                self._note(self._under_way)

    def _note(self, named: Iterable[str]) -> None:
        self._unsettled.update(os.path.dirname(path) for path in named)

    def _is_worth_beginning(self) -> bool:
        """Whether enough waits, and the namer has time. (For the thread that takes: no lock is needed to guess.)"""
        if self._namer is None or (len(self._pending) < _ENOUGH and self._pending_bytes < _ENOUGH_BYTES):
            return False
        return not self._is_naming or self._namer.is_done()

    def _taken(self) -> dict[str, str]:
        """What waits, which is under way from now on."""
        with self._lock:
            batch = self._under_way = self._pending
            self._pending, self._pending_bytes = {}, 0
        return batch

    @contextmanager
    def _ending(self, batch: dict[str, str]) -> Iterator[None]:
        """At the end nothing is under way; what got no name waits again."""
        try:
            yield
        except BaseException:
            with self._lock:
                self._pending = batch | self._pending
            raise
        finally:
            with self._lock:
                self._under_way = {}

    def _has(self, object_id: ObjectId, path: str) -> bool:
        with self._lock:
            if path in self._pending or path in self._under_way:
                return True
        # Looked for by name first, because that is quick and the answer is mostly no. After the look at what waits:
        # it has its name before it waits no more.
        return os.path.exists(f"{self._root}/{path}") and self._store.has(object_id)

    def _enter(self, written: Iterable[Written]) -> bool:
        """Have them wait for the next flush; whether that is due."""
        superfluous = []
        with self._lock:
            for path, temporary, size in written:
                if path in self._under_way or path in self._pending:
                    superfluous.append(temporary)
                    continue
                self._pending[path] = temporary
                self._pending_bytes += size
                self.stored_objects += 1
                self.stored_bytes += size
            is_full = len(self._pending) >= _MAX_PENDING or self._pending_bytes >= _MAX_PENDING_BYTES
        for temporary in superfluous:  # somebody else wrote the same content meanwhile
            os.unlink(temporary)
        return is_full

    def _remove_leftovers(self) -> None:
        txn = f"{self._root}/{_TXN}"
        with writing(self._border), os.scandir(txn) as entries:
            for entry in entries:
                if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False):
                    import shutil

                    shutil.rmtree(entry.path, ignore_errors=True)
                elif entry.name.startswith(_PREFIX):  # as versions left it that had one directory for all
                    with suppress(FileNotFoundError):
                        os.unlink(entry.path)


class _Places:
    """A directory for each thread: in one for all, the threads would mostly wait for each other's files to be made."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._known: set[str] = set()
        self._others = itertools.count()

    def another(self) -> str:
        """One for a process."""
        place = f"{self._prefix}p{next(self._others)}"
        self._known.add(place)
        return place

    def of_this_thread(self) -> str:
        """Where it is; who finds that it is not there makes it."""
        place = f"{self._prefix}{threading.get_ident()}"
        self._known.add(place)
        return place

    def clear(self) -> None:
        """Remove those that hold nothing."""
        for place in list(self._known):
            with suppress(OSError):
                os.rmdir(place)
