"""Directory trees as values, and the catalogs and objects that they become: what the simulator publishes."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from swrepo.catalog import schema
from swrepo.catalog.counters import Counters
from swrepo.catalog.nested import NestedRef
from swrepo.catalog.writer import CatalogWriter
from swrepo.format import xattr
from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk, Dirent, Flag, content_flags
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.format.paths import ROOT, ancestors, basename, is_within, parent, path_key
from swrepo.objects import codec

MTIME = 1_780_000_000


@dataclass(frozen=True, kw_only=True)
class Node:
    """What every entry has. `mode` are the permission bits."""

    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = MTIME
    mtime_ns: int | None = None
    xattrs: Mapping[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class File(Node):
    """A regular file. `chunk_size` cuts it into pieces; files of one directory that share a `link` are hard links.

    The content of an `external` one is nowhere in the repository. One that `starts_bundle` is flagged so.
    """

    content: bytes = b""
    compression: Compression = Compression.ZLIB
    chunk_size: int | None = None
    link: str | None = None
    external: bool = False
    starts_bundle: bool = False


@dataclass(frozen=True)
class Directory(Node):
    """A directory. Those that a tree does not mention, but needs, are made."""

    mode: int = field(default=0o755, kw_only=True)


@dataclass(frozen=True)
class Symlink(Node):
    """A symbolic link."""

    target: bytes = b""
    mode: int = field(default=0o777, kw_only=True)


@dataclass(frozen=True)
class Special(Node):
    """A fifo, socket or device; `type` is one of stat.S_IFIFO and its like."""

    type: int = stat.S_IFIFO
    rdev: int = 0


Tree = Mapping[bytes, Node]
Put = Callable[[bytes, Kind, Compression], ObjectId]
"""Stores plain bytes as an object of a kind and gives its name."""


class Catalog(NamedTuple):
    """A catalog that was stored: its name, plain size, and what it and all below it hold."""

    id: ObjectId
    size: int
    total: Counters


class TreeBuilder:
    """Turns one tree into objects. `nested` are the directories that get a catalog of their own."""

    def __init__(
        self, tree: Tree, nested: Collection[bytes], put: Put, algorithm: Algorithm, facts: Mapping[str, str]
    ) -> None:
        self._tree = completed(tree)
        self._nested = nested
        self._put = put
        self._algorithm = algorithm
        self._facts = facts
        self._subdirectories = Counter(
            parent(path) for path, node in self._tree.items() if path and isinstance(node, Directory)
        )

    def build(self, folder: Path, root: bytes = ROOT) -> Catalog:
        """Store what is at and below `root`; `folder` takes the catalogs in the making."""
        file = folder / f"catalog-{path_key(root)}"
        below = [self._mount(folder, path) for path in sorted(self._nested) if self._holder(path) == root]
        writer = CatalogWriter.create(file, self._dirent(root, {}), root)
        groups = self._link_groups(root)
        for path in sorted(self._tree):
            if path and self._holder(path) == root:
                writer.add(path, self._dirent(path, groups), self._chunks(path))
        for reference, total in below:
            writer.set_nested(reference)
            writer.subtree += total
        total = writer.own + writer.subtree
        # A publisher does not rewrite a nested catalog in which nothing changed: nothing in it tells the revision.
        size = writer.finish(self._facts if root == ROOT else {schema.KEY_REVISION: "1"})
        return Catalog(self._put(file.read_bytes(), Kind.CATALOG, Compression.ZLIB), size, total)

    def _mount(self, folder: Path, path: bytes) -> tuple[NestedRef, Counters]:
        made = self.build(folder, path)
        return NestedRef(path, made.id, made.size, is_bind=False), made.total

    def _holder(self, path: bytes) -> bytes:
        """The root of the catalog that has `path` as an entry: for mountpoints the upper one."""
        roots = [ROOT, *(at for at in self._nested if is_within(path, at) and path != at)]
        return max(roots, key=len)

    def _link_groups(self, root: bytes) -> dict[tuple[bytes, str], tuple[int, int]]:
        """Group number and link count of the hard links in a catalog."""
        members = Counter(
            (parent(path), node.link)
            for path, node in sorted(self._tree.items())
            if isinstance(node, File) and node.link is not None and self._holder(path) == root
        )
        return {key: (number, count) for number, (key, count) in enumerate(members.items(), start=1)}

    def _dirent(self, path: bytes, groups: Mapping[tuple[bytes, str], tuple[int, int]]) -> Dirent:
        node = self._tree[path]
        plain = Dirent(
            name=basename(path),
            mode=node.mode,
            size=0,
            mtime=node.mtime,
            mtime_ns=node.mtime_ns,
            uid=node.uid,
            gid=node.gid,
            flags=int(Flag.FILE),
            hardlinks=1,
            symlink=b"",
            digest=None,
            xattr_blob=xattr.encode(dict(node.xattrs)),
        )
        match node:
            case Directory():
                links = 2 + self._subdirectories[path]
                flags = int(Flag.DIRECTORY)
                return plain._replace(mode=stat.S_IFDIR | node.mode, size=4096, flags=flags, hardlinks=links)
            case Symlink(target=target):
                flags = int(Flag.FILE | Flag.SYMLINK)
                return plain._replace(mode=stat.S_IFLNK | node.mode, size=len(target), flags=flags, symlink=target)
            case Special():
                flags = int(Flag.FILE | Flag.SPECIAL)
                return plain._replace(mode=node.type | node.mode, size=node.rdev, flags=flags)
            case File():
                group, count = groups.get((parent(path), node.link or ""), (0, 1))
                return self._file(plain, node)._replace(hardlinks=group << 32 | count)
        raise TypeError(node)

    def _file(self, plain: Dirent, node: File) -> Dirent:
        flags = int(Flag.FILE) | content_flags(self._algorithm, node.compression)
        plain = plain._replace(mode=stat.S_IFREG | node.mode, size=len(node.content))
        if node.external:
            flags |= int(Flag.EXTERNAL)
        if node.starts_bundle:
            flags |= int(Flag.BUNDLE_TRIGGER)
        if node.chunk_size is not None:
            return plain._replace(flags=flags | int(Flag.CHUNKED))
        return plain._replace(flags=flags, digest=self._stored(node, node.content, Kind.FILE).digest)

    def _stored(self, node: File, content: bytes, kind: Kind) -> ObjectId:
        if node.external:
            return ObjectId.of(codec.encode(content, node.compression), self._algorithm, kind)
        return self._put(content, kind, node.compression)

    def _chunks(self, path: bytes) -> list[Chunk]:
        node = self._tree[path]
        if not isinstance(node, File) or node.chunk_size is None:
            return []
        starts = range(0, len(node.content), node.chunk_size)
        pieces = {start: node.content[start : start + node.chunk_size] for start in starts}
        return [
            Chunk(start, len(piece), self._stored(node, piece, Kind.PARTIAL).digest) for start, piece in pieces.items()
        ]


def completed(tree: Tree) -> dict[bytes, Node]:
    """The tree with its root and every directory that it needs."""
    found: dict[bytes, Node] = {ROOT: Directory()}
    for path in tree:
        found.update((above, Directory()) for above in ancestors(parent(path)))
    return found | dict(tree)


def properties(revision: int, timestamp: int, previous: ObjectId) -> dict[str, str]:
    """What the original states of each catalog."""
    return {
        schema.KEY_REVISION: str(revision),
        schema.KEY_LAST_MODIFIED: str(timestamp),
        schema.KEY_PREVIOUS_REVISION: previous.text,
        schema.KEY_TTL: "240",
    }
