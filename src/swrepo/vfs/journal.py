"""What a worker leaves to the one that takes its place: which numbers the kernel was told, and what they stand for.

It lies in memory that outlives the worker (never on a disk, never from anybody else, so it is taken at its word). A
full record is written at each change of what is shown, a short one for each catalog that is loaded after it.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from struct import Struct
from typing import Final

from swrepo.format.object_id import ObjectId
from swrepo.system.shared_memory import SharedMemory
from swrepo.vfs.nodes import Frozen

_SERIAL: Final = Struct("=Q")
_LENGTH: Final = Struct("=Q")

SHAPE: Final = (_SERIAL.format, _LENGTH.format)
"""What two programs have to agree on that share the memory, besides the classes of the records."""


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """The numbers of one catalog. `root`: the revision that it belongs to; None for one that is superseded.

    `moved`: row -> number of the span and row in it that it stands for now.
    """

    base: int
    size: int
    volume: str
    mountpoint: bytes
    root: ObjectId | None
    moved: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    frozen: Mapping[int, Frozen] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """One repository in the tree: the name that it has there, the root catalogs of its revision and the one before.

    `past`: those of all that were shown, by their epochs (vfs.past).
    """

    name: str
    root: ObjectId
    previous: ObjectId | None
    epoch: int
    past: tuple[tuple[int, ObjectId], ...] = ()


@dataclass(slots=True)
class Stale:
    """What the kernel has to be told: (directory, name) pairs, and nodes whose attributes and listings changed."""

    entries: list[tuple[int, bytes]] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that is shown. `unsaid`: what the kernel may not have been told yet.

    `top`: the base of the span, and the row, that the root of the mount stands for, where it is a repository's.
    """

    volumes: tuple[VolumeRecord, ...] = ()
    spans: tuple[SpanRecord, ...] = ()
    top: tuple[int, int] | None = None
    unsaid: Stale = field(default_factory=Stale)


class Told:
    """The kernel was told all that the last full record says it may not know."""


class Journal:
    """Written by one process, with the lock of the Vfs held; read by its successor.

    Two files take turns: a full record goes into the one that is not in use, which then gets the higher serial number.
    """

    def __init__(self, inherited: Sequence[int] = ()) -> None:
        """`inherited`: the descriptors of another program's."""
        self._files = [SharedMemory(_SERIAL.size, descriptor) for descriptor in inherited or (None, None)]

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Of its memory."""
        return tuple(file.descriptor for file in self._files)

    def write(self, shown: Shown) -> None:
        """Begin anew with a full record."""
        current, other = self._in_order()
        os.ftruncate(other, 0)
        _append(other, _SERIAL.size, shown)
        os.pwrite(other, _SERIAL.pack(_serial(current) + 1), 0)

    def add(self, record: SpanRecord | Told) -> None:
        """Add to the last full record."""
        current, _ = self._in_order()
        _append(current, os.fstat(current).st_size, record)

    def read(self) -> tuple[Shown, list[SpanRecord]]:
        """The last full record (an empty one where there is none), and the spans that were given out after it."""
        current, _ = self._in_order()
        shown = Shown()
        spans: list[SpanRecord] = []
        for record in _records(current):
            if isinstance(record, Shown):
                shown = record
            elif isinstance(record, SpanRecord):
                spans.append(record)
            elif isinstance(record, Told):
                shown = replace(shown, unsaid=Stale())
        return shown, spans

    def close(self) -> None:
        """Let go of the memory."""
        for file in self._files:
            file.close()

    def _in_order(self) -> tuple[int, int]:
        """The file in use, and the other."""
        first, second = (file.descriptor for file in self._files)
        return (first, second) if _serial(first) >= _serial(second) else (second, first)


def _serial(descriptor: int) -> int:
    data = os.pread(descriptor, _SERIAL.size, 0)
    return int(_SERIAL.unpack(data)[0]) if len(data) == _SERIAL.size else 0


def _append(descriptor: int, position: int, record: object) -> None:
    data = pickle.dumps(record, pickle.HIGHEST_PROTOCOL)
    os.pwrite(descriptor, data, position + _LENGTH.size)
    os.pwrite(descriptor, _LENGTH.pack(len(data)), position)  # afterwards, so that a torn record does not count


def _records(descriptor: int) -> Iterator[object]:
    position = _SERIAL.size
    while len(head := os.pread(descriptor, _LENGTH.size, position)) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        if not length:
            return
        yield pickle.loads(os.pread(descriptor, length, position + _LENGTH.size))  # noqa: S301 - our own memory
        position += _LENGTH.size + length
