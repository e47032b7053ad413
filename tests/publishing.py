"""What tests of publishing share: a store and a revision in memory, a clock that a test moves."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import BinaryIO

from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import basename, is_within, parent
from swrepo.objects import codec
from swrepo.objects.store import Want
from swrepo.publish.changes import Change, Put, Removed


class MemoryStore:
    """ObjectStore and ObjectSource; counts what is put for the first time."""

    def __init__(self) -> None:
        self.objects: dict[ObjectId, bytes] = {}

    def has(self, object_id: ObjectId) -> bool:
        return object_id in self.objects

    def put(self, object_id: ObjectId, stored: bytes | BinaryIO) -> None:
        data = stored if isinstance(stored, bytes) else stored.read()
        assert ObjectId.of(data, object_id.algorithm, object_id.kind) == object_id
        self.objects.setdefault(object_id, data)

    def delete(self, object_id: ObjectId) -> None:
        self.objects.pop(object_id, None)

    def list(self) -> Iterator[ObjectId]:
        return iter(list(self.objects))

    def fetch(self, want: Want, out: BinaryIO) -> None:
        codec.decode([self.objects[want.id]], want, out)

    def plain(self, entry: Dirent, chunks: tuple[Chunk, ...] = ()) -> bytes:
        """The content of a file."""
        out = BytesIO()
        if entry.content is not None:
            self.fetch(Want(entry.content, entry.compression, entry.size), out)
        for chunk in chunks:
            piece = BytesIO()
            self.fetch(Want(entry.chunk_id(chunk), entry.compression, chunk.size), piece)
            assert out.tell() == chunk.offset
            out.write(piece.getvalue())
        return out.getvalue()


class MemoryRevision:
    """LastRevision as a dict of paths; `apply` makes the next one from changes."""

    def __init__(self, entries: dict[bytes, Put] | None = None) -> None:
        self.entries = entries or {}

    def lookup(self, path: bytes) -> Dirent | None:
        put = self.entries.get(path)
        return None if put is None else put.entry

    def listing(self, path: bytes) -> list[Dirent]:
        return [put.entry for where, put in self.entries.items() if where and parent(where) == path]

    def chunks(self, path: bytes) -> tuple[Chunk, ...]:
        return self.entries[path].chunks

    def apply(self, changes: Iterable[Change]) -> MemoryRevision:
        entries = dict(self.entries)
        groups: dict[bytes, int] = {}
        number = max((put.entry.hardlink_group for put in entries.values()), default=0)
        for change in changes:
            if isinstance(change, Removed):
                assert change.path in entries
                for path in [path for path in entries if is_within(path, change.path)]:
                    del entries[path]
            elif isinstance(change, Put):
                assert change.read is None
                assert change.entry.name == basename(change.path)
                entry = change.entry
                if change.group is not None:
                    group = groups.setdefault(change.group, number + len(groups) + 1)
                    entry = entry._replace(hardlinks=group << 32 | entry.hardlinks)
                entries[change.path] = change._replace(entry=entry)
        return MemoryRevision(entries)


class Clock:
    """Seconds and nanoseconds since 1970, moved by hand. Starts an hour ahead, so that every file is at rest."""

    def __init__(self) -> None:
        self.ns = time.time_ns() + 3_600_000_000_000

    def __call__(self) -> float:
        return self.ns / 1e9

    def nanoseconds(self) -> int:
        return self.ns
