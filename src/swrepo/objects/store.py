"""The narrow waist: how objects are asked for and put, whatever holds them.

Cache, retry, fail-over, one-fetch-at-a-time and counting are implementations made of implementations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, Protocol, runtime_checkable

from swrepo.format.compression import Compression
from swrepo.format.object_id import ObjectId

CATALOG_LIMIT = 4 << 30
"""Bytes of the largest catalog that is accepted when its size is not announced."""

DOCUMENT_LIMIT = 64 << 10
"""Bytes of the largest manifest, whitelist or certificate that is accepted."""


@dataclass(frozen=True, slots=True)
class ExternalPlace:
    """Where content lies that is not in the repository: the file's path in it, and for a chunk where that begins."""

    path: bytes
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Want:
    """An object that is asked for, with all that is needed to check it.

    `size` is the announced number of plain (decompressed) bytes, which must match exactly; None where nothing announces
    it: then `limit` bounds it. `place`: None for what is in the repository.
    """

    id: ObjectId
    compression: Compression = Compression.ZLIB
    size: int | None = None
    limit: int = CATALOG_LIMIT
    place: ExternalPlace | None = field(default=None, compare=False)


class ObjectSource(Protocol):
    """Where objects come from: a server, a directory, a simulator."""

    def fetch(self, want: Want, out: BinaryIO) -> None:
        """Write the plain bytes of the object to `out`, a seekable file at position 0 that is empty.

        When this returns, the stored bytes matched `want.id` and the plain ones `want.size`; every implementation gets
        there through `objects.codec`. When it raises, what `out` holds is not to be used.
        Raises ObjectNotFound, Unreachable, CorruptObject. Safe to call from any thread.
        """
        ...


class LocalObjects(Protocol):
    """Plain objects as local files: what readers use. The client's cache is one."""

    def open(self, want: Want) -> int:
        """A new read-only file descriptor on the plain bytes, fetched if need be; the caller closes it."""
        ...

    def open_if_here(self, want: Want) -> int | None:
        """The same without any fetching: None where the object is not here."""
        ...

    def read_whole(self, want: Want) -> bytes:
        """The plain bytes of an object of announced size, fetched if need be. Fewer where its file was cut off."""
        ...


@runtime_checkable
class FetchesWhole(Protocol):
    """An ObjectSource that needs no file for a small object."""

    def fetch_whole(self, want: Want) -> bytes:
        """The plain bytes of an object of announced size that fits into memory, verified. Raises as `fetch`."""
        ...


def whole_from(source: ObjectSource) -> Callable[[Want], bytes]:
    """See FetchesWhole: from a source that may not be one. For a composition root: looking takes a while."""
    if isinstance(source, FetchesWhole):
        return source.fetch_whole

    def fetch_whole(want: Want) -> bytes:
        plain = BytesIO()
        source.fetch(want, plain)
        return plain.getvalue()

    return fetch_whole


@runtime_checkable
class FetchesMany(Protocol):
    """An ObjectSource that can fetch many small objects for little more than the price of one."""

    def fetch_many(self, wants: Sequence[Want], deliver: Callable[[Want, bytes], object]) -> list[Want]:
        """Fetch objects of announced size that fit into memory; `deliver` gets the plain bytes of each, verified.

        They come in any order, in the thread that calls. Returns those that could not be had at the first try, for
        `fetch` to try in its ways. Raises only what `deliver` raises.
        """
        ...


def fetch_many(source: ObjectSource, wants: Sequence[Want], deliver: Callable[[Want, bytes], object]) -> list[Want]:
    """See FetchesMany: from a source that may not be one; then all is left to do."""
    return source.fetch_many(wants, deliver) if isinstance(source, FetchesMany) else list(wants)


class Coming(Protocol):
    """An object that was asked for and is on its way. For one thread at a time, but for `check`."""

    def fileno(self) -> int:
        """What can be read when something came."""
        ...

    def advance(self) -> bytes | None:
        """The plain bytes, verified; None while some of them are missing. Never waits.

        Raises where the object cannot be had in this way: then it has ended, and is to be fetched in others.
        """
        ...

    def check(self, now: float) -> None:
        """From any thread, now and then (on the monotonic clock): end it where it takes too long; `advance` raises."""
        ...

    def cancel(self) -> None:
        """End it before it came."""
        ...


@runtime_checkable
class BeginsFetching(Protocol):
    """A source, or LocalObjects, that can ask for a small object without waiting for anything."""

    def begin(self, want: Want) -> Coming | None:
        """Ask for an object of announced size; None where that cannot be done at once, in other ways it may."""
        ...


def beginning(source: ObjectSource) -> Callable[[Want], Coming | None]:
    """`begin` of a source; of one that has none, what always says no."""
    return source.begin if isinstance(source, BeginsFetching) else lambda _want: None


@runtime_checkable
class BringsAhead(LocalObjects, Protocol):
    """LocalObjects that can be filled before anybody opens them."""

    def bring(self, want: Want) -> bool:
        """Fetch an object that is not here; False where it was not kept, since there is no room. Raises as `open`."""
        ...

    def bring_many(
        self, wants: Sequence[Want], arrived: Callable[[Want, bool], object], source: ObjectSource | None = None
    ) -> list[Want]:
        """Fetch small objects together. `arrived` is told of each that is here by now, and whether it was before.

        From `source`, where one is given, instead of the usual one. Returns those for which `bring` has to be asked.
        """
        ...


class ObjectStore(Protocol):
    """Where a publisher puts objects. Bytes are as stored (compressed already)."""

    def has(self, object_id: ObjectId) -> bool: ...

    def put(self, object_id: ObjectId, stored: bytes | BinaryIO) -> None:
        """Store durably under its name; a no-op where it exists. `stored` is bytes or a file at position 0."""
        ...

    def delete(self, object_id: ObjectId) -> None: ...

    def list(self) -> Iterator[ObjectId]:
        """Every object there is, in no order."""
        ...


@runtime_checkable
class MeasuresObjects(Protocol):
    """A store that knows how large an object is without reading it."""

    def stored_size(self, object_id: ObjectId) -> int | None:
        """Stored bytes; None where there is no such object."""
        ...


class Documents(Protocol):
    """The named, mutable files of a repository: `.cvmfspublished` and its like."""

    def read(self, name: str, limit: int = DOCUMENT_LIMIT) -> bytes:
        """The whole document. Raises ObjectNotFound, Unreachable, ObjectTooLarge (beyond `limit`)."""
        ...


class WritableDocuments(Documents, Protocol):
    """Where a publisher puts them."""

    def write(self, name: str, data: bytes) -> None:
        """Replace atomically and durably."""
        ...

    def remove(self, name: str) -> None:
        """Have none of that name, whether there was one or not."""
        ...
