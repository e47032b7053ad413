"""Makes catalogs and objects for tests: entries in one line, a tree of catalogs as a dict, objects in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.writer import CatalogWriter
from swrepo.errors import ObjectNotFound
from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk, Dirent, content_flags
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.objects import codec
from swrepo.objects.store import Want
from swrepo.system.positional import read_and_close

MTIME = 1_500_000_000


def directory(links: int = 2, mode: int = 0o755, flags: int = 1, **columns: object) -> Dirent:
    return entry(mode=0o40000 | mode, size=4096, flags=flags, hardlinks=links, **columns)


def file(content: bytes = b"", mode: int = 0o644, group: int = 0, links: int = 1, **columns: object) -> Dirent:
    """A regular file whose object is that of `content`, zlib, SHA-1."""
    columns.setdefault("size", len(content))
    columns.setdefault("digest", stored_id(content).digest)
    return entry(mode=0o100000 | mode, flags=4, hardlinks=group << 32 | links, **columns)


def chunked(size: int, **columns: object) -> Dirent:
    return entry(mode=0o100644, size=size, flags=4 | 64 | content_flags(Algorithm.SHA1, Compression.ZLIB), **columns)


def symlink(target: bytes, **columns: object) -> Dirent:
    return entry(mode=0o120777, size=len(target), flags=12, symlink=target, **columns)


def entry(**columns: object) -> Dirent:
    values: dict[str, object] = {
        "name": b"",
        "mode": 0o100644,
        "size": 0,
        "mtime": MTIME,
        "mtime_ns": None,
        "uid": 0,
        "gid": 0,
        "flags": 4,
        "hardlinks": 1,
        "symlink": b"",
        "digest": None,
        "xattr_blob": None,
    }
    return Dirent(**{**values, **columns})  # type: ignore[arg-type]


def stored_id(content: bytes, kind: Kind = Kind.FILE) -> ObjectId:
    return ObjectId.of(codec.encode(content, Compression.ZLIB), kind=kind)


class MemoryObjects:
    """A LocalObjects (and ObjectSource) of what was put into it; counts what is opened."""

    def __init__(self) -> None:
        self._plain: dict[ObjectId, bytes] = {}
        self.remote: set[ObjectId] = set()
        self.opened: list[ObjectId] = []

    def put(self, content: bytes, kind: Kind = Kind.FILE) -> ObjectId:
        name = stored_id(content, kind)
        self._plain[name] = content
        return name

    def put_remote(self, content: bytes, kind: Kind = Kind.FILE) -> ObjectId:
        """One that has to be fetched first."""
        name = self.put(content, kind)
        self.remote.add(name)
        return name

    def open(self, want: Want) -> int:
        self.opened.append(want.id)
        self.remote.discard(want.id)
        if want.id not in self._plain:
            raise ObjectNotFound(f"no object {want.id}")
        with tempfile.TemporaryFile() as out:
            out.write(self._plain[want.id])
            out.flush()
            return os.dup(out.fileno())

    def open_if_here(self, want: Want) -> int | None:
        return None if want.id in self.remote else self.open(want)

    def read_whole(self, want: Want) -> bytes:
        return read_and_close(self.open(want), want.size or 0)

    def fetch(self, want: Want, out: BinaryIO) -> None:
        if want.id not in self._plain:
            raise ObjectNotFound(f"no object {want.id}")
        out.write(self._plain[want.id])


def write_catalog(
    path: Path,
    entries: Mapping[bytes, Dirent | tuple[Dirent, list[Chunk]]],
    *,
    prefix: bytes = b"",
    nested: tuple[NestedRef, ...] = (),
    root: Dirent | None = None,
    properties: Mapping[str, str] | None = None,
) -> Path:
    """A catalog file with these entries below a root directory."""
    writer = CatalogWriter.create(path, root or directory(), prefix)
    for where, what in entries.items():
        plain, chunks = what if isinstance(what[0], Dirent) else (what, [])
        writer.add(where, plain, chunks)
    for ref in nested:
        writer.set_nested(ref)
    writer.finish({"revision": "1", **(properties or {})})
    return path


def put_catalog(objects: MemoryObjects, scratch: Path, entries: Mapping[bytes, Dirent], **options: object) -> ObjectId:
    """The same as an object."""
    path = scratch / f"{len(list(scratch.iterdir()))}.db"
    write_catalog(path, entries, **options)  # type: ignore[arg-type]
    return objects.put(path.read_bytes(), Kind.CATALOG)


def open_catalog(path: Path, entries: Mapping[bytes, Dirent], **options: object) -> CatalogFile:
    return CatalogFile.open(write_catalog(path, entries, **options))  # type: ignore[arg-type]
