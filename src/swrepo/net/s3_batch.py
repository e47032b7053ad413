"""Many objects into a bucket at a time: threads send what is put, and all of it is there after `flush`.

A publisher's threads compress and hash; waiting for a server's answer to each small object would leave the processor
idle for most of the time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from swrepo.format.object_id import ObjectId
from swrepo.net.s3_objects import S3Objects, checked

_MAX_PENDING_BYTES = 128 << 20
"""Bytes that wait to be sent: bounds the memory. Files are not counted, for their senders wait."""


class S3Batch:
    """ObjectStore over `store`, in which objects need not be before `flush`. Safe from any thread."""

    def __init__(self, store: S3Objects) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(store.client.settings.connections, thread_name_prefix="s3")
        self._changed = threading.Condition()
        self._pending: dict[ObjectId, Future[None]] = {}  # guarded by _changed
        self._pending_bytes = 0  # guarded by _changed
        self._failure: BaseException | None = None  # guarded by _changed
        self.stored_objects = 0
        """How many objects were new."""
        self.stored_bytes = 0

    def has(self, object_id: ObjectId) -> bool:
        with self._changed:
            if object_id in self._pending:
                return True
        return self._store.has(object_id)

    def put(self, object_id: ObjectId, stored: bytes | BinaryIO) -> None:
        """Send it soon. CorruptObject at once; what the server says is raised by a later call or by `flush`."""
        sha256, size = checked(object_id, stored)
        if not isinstance(stored, bytes):  # it may be larger than memory, and its owner closes it
            self._count(self._store.put_checked(object_id, stored, sha256, size), size)
            return
        with self._changed:
            self._raise()
            if object_id in self._pending:
                return
            while self._pending_bytes and self._pending_bytes + size > _MAX_PENDING_BYTES:
                self._changed.wait()
                self._raise()
            self._pending_bytes += size
            self._pending[object_id] = self._pool.submit(self._send, object_id, stored, sha256, size)

    def delete(self, object_id: ObjectId) -> None:
        self.flush()
        self._store.delete(object_id)

    def list(self) -> Iterator[ObjectId]:
        self.flush()
        return self._store.list()

    def flush(self) -> None:
        """Wait until all that was put is in the bucket. Raises what the first that failed raised."""
        with self._changed:
            while self._pending:
                self._changed.wait()
            self._raise()

    def _send(self, object_id: ObjectId, stored: bytes, sha256: str, size: int) -> None:
        try:
            new = self._store.put_checked(object_id, stored, sha256, size)
        except BaseException as error:  # noqa: BLE001 - raised again by `flush`
            with self._changed:
                self._failure = self._failure or error
        else:
            self._count(new, size)
        finally:
            with self._changed:
                self._pending.pop(object_id, None)
                self._pending_bytes -= size
                self._changed.notify_all()

    def _count(self, new: bool, size: int) -> None:
        with self._changed:
            self.stored_objects += new
            self.stored_bytes += size * new

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure
