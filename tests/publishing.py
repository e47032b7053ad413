"""What tests of publishing share: a store, a revision and a clock in memory; a server in a directory; what is right."""

from __future__ import annotations

import atexit
import dataclasses
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from swrepo.catalog.counters import Counters, Statistics
from swrepo.catalog.reader import CatalogFile
from swrepo.errors import ObjectNotFound
from swrepo.format import xattr
from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import ROOT, basename, is_within, parent
from swrepo.format.wellknown import REFLOG
from swrepo.objects import codec
from swrepo.objects.chunker import ChunkSizes
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import Want
from swrepo.publish import keyring
from swrepo.publish.changed import Touched
from swrepo.publish.changes import Change, Put, Removed
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.info import list_tags
from swrepo.publish.layout import KeyFiles, RepositoryPlaces, ServerLayout
from swrepo.publish.outcome import Outcome
from swrepo.publish.plain import PlainObjects
from swrepo.publish.seal import TagRequest
from swrepo.publish.transaction import Publisher
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.repository.history import Tag
from swrepo.repository.reflog import ReflogFile
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk
from swrepo.trust.chain import TrustAnchors
from swrepo.trust.keys import PublicKey


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
        if want.id not in self.objects:
            raise ObjectNotFound(f"{want.id} is not in memory")
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

    def begins_catalog(self, path: bytes) -> bool:
        return path == ROOT or self.entries[path].nested

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


class Server:
    """A server below a directory of its own, with one repository and a clock that the test moves."""

    def __init__(
        self,
        prefix: Path,
        options: CreateOptions | None = None,
        fqrn: str = "sw.example.org",
        now_ns: Callable[[], int] | None = None,
    ) -> None:
        """`now_ns`: the real time, where real commands work on it too."""
        self.layout = ServerLayout(prefix)
        self.fqrn = fqrn
        self.clock = Clock()
        if now_ns is not None:
            self.clock.ns = now_ns()
        self.places = create_repository(self.layout, fqrn, options or fast_options(), self.clock.nanoseconds)
        self.tree = self.places.worktree

    def publisher(self, **changes: Any) -> Publisher:
        return dataclasses.replace(Publisher(self.layout, clock_ns=self.clock.nanoseconds, threads=2), **changes)

    def publish(self, tag: str = "", message: str = "", touched: Touched | None = None, **changes: Any) -> Outcome:
        """Publish the work tree, or what is touched in it, an hour after the last time."""
        self.clock.ns += 3600 * 10**9
        return self.publisher(**changes).publish(self.fqrn, tag=TagRequest(tag, message), touched=touched)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.ns // 10**9, UTC)

    def manifest(self) -> Manifest:
        """What clients believe."""
        objects = DirectoryObjects(self.places.storage)
        anchors = TrustAnchors(PublicKey.parse_all(self.places.keys.public.read_bytes()))
        return trusted_manifest(self.fqrn, objects, objects, anchors, self.now()).manifest

    @contextmanager
    def revision(self, manifest: Manifest | None = None) -> Iterator[Revision]:
        current = manifest or self.manifest()
        with tempfile.TemporaryDirectory() as scratch:
            objects = PlainObjects(DirectoryObjects(self.places.storage), Path(scratch))
            with Revision(current.root_catalog, objects, current.root_size) as revision:
                yield revision

    def objects(self) -> set[ObjectId]:
        return set(DirectoryObjects(self.places.storage).list())

    def tags(self) -> dict[str, Tag]:
        return {tag.name: tag for tag in list_tags(self.layout, self.fqrn)}

    def check(self, tree: Path | None = None) -> dict[bytes, CatalogFile]:
        """The repository is whole and shows `tree` (the work tree). Its catalogs, by mountpoint."""
        manifest = self.manifest()
        with self.revision(manifest) as revision:
            check_equal(revision, tree or self.tree)
            catalogs = check_catalogs(revision)
        check_documents(self.places, manifest)
        return catalogs


def fast_options(**changes: Any) -> CreateOptions:
    """Options with keys that are made once, and small chunks."""
    return CreateOptions(**{"chunks": ChunkSizes(4096, 8192, 16384), "keys": shared_keys(), **changes})


@cache
def shared_keys() -> Path:
    """A directory with key files for sw.example.org: making keys takes a while."""
    directory = Path(tempfile.mkdtemp(prefix="swrepo-keys-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    keyring.prepare(KeyFiles.of(directory, "sw.example.org"), "sw.example.org", datetime(2026, 1, 1, tzinfo=UTC))
    return directory


def check_equal(revision: Revision, tree: Path) -> None:
    """Every path of the tree and no other, with everything that lstat tells, and its content."""
    top = os.fsencode(tree)
    on_disk = {b"": os.lstat(top)}
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(directory, name)
            on_disk[path[len(top) :]] = os.lstat(path)
    published = dict(walk(revision))
    assert published.keys() == on_disk.keys()
    groups: dict[tuple[bytes, int, int], set[bytes]] = {}
    for path, status in on_disk.items():
        check_entry(revision, path, published[path], status, top + path)
        if not stat.S_ISDIR(status.st_mode):
            groups.setdefault((parent(path), status.st_dev, status.st_ino), set()).add(path)
    for names in groups.values():  # names of one file in one directory, and no others, share a node
        assert {published[name].linkcount for name in names} == {len(names)}
        assert len({revision.inode(name) for name in names}) == 1
    assert len({revision.inode(path) for path in published}) == len(published) - sum(
        len(g) - 1 for g in groups.values()
    )


def check_entry(revision: Revision, path: bytes, entry: Dirent, status: os.stat_result, where: bytes) -> None:
    assert (entry.mode, entry.uid, entry.gid) == (status.st_mode, status.st_uid, status.st_gid), path
    assert entry.mtime * 10**9 + (entry.mtime_ns or 0) == status.st_mtime_ns, path
    assert entry.rdev == (status.st_rdev if entry.is_device else 0)
    names = os.listxattr(where, follow_symlinks=False)
    attributes = {os.fsencode(name): os.getxattr(where, name, follow_symlinks=False) for name in names}
    assert xattr.decode(entry.xattr_blob) == {name: value for name, value in attributes.items() if len(value) < 256}
    if entry.is_symlink:
        assert entry.symlink == os.readlink(where)
    elif entry.is_regular:
        content = revision.content(path)
        assert content.size == status.st_size
        with open(where, "rb") as file:
            assert content.pread(0, content.size) == file.read(), path
        content.close()


def check_catalogs(revision: Revision) -> dict[bytes, CatalogFile]:
    """Every catalog counts itself and what is below it rightly; mountpoints are the same in both catalogs."""
    found: dict[bytes, CatalogFile] = {}

    def total(catalog: CatalogFile) -> Counters:
        found[catalog.mountpoint] = catalog
        own, markers = Counters(nested=len(catalog.nested())), set()
        for entry, key, _ in catalog.entries():
            own += Counters.of_entry(entry, len(catalog.chunks(key)))
            if entry.is_nested_mountpoint:
                markers.add(entry.name)
        assert markers == {basename(ref.path) for ref in catalog.nested()}
        below = Counters()
        for ref in catalog.nested():
            inner = revision.tree.find(ref.path)
            mountpoint, root = catalog.lookup(ref.path), inner.lookup(ref.path)
            assert mountpoint is not None
            assert root is not None
            assert root.is_nested_root
            assert mountpoint._replace(flags=0, rowid=0) == root._replace(flags=0, rowid=0)
            assert inner.lookup(ref.path + b"/.cvmfscatalog") is not None
            below += total(inner)
        assert catalog.counters() == Statistics(own, below), catalog.mountpoint
        return own + below

    total(revision.tree.root)
    return found


def check_documents(places: RepositoryPlaces, manifest: Manifest) -> None:
    """The reference log is the manifest's and names what it names."""
    raw = (places.storage / REFLOG).read_bytes()
    assert manifest.reflog is not None
    assert ObjectId.of(raw, manifest.reflog.algorithm) == manifest.reflog
    log = ReflogFile.open(places.storage / REFLOG)
    noted = {reference.id for reference in log.references()}
    log.close()
    assert {manifest.root_catalog, manifest.certificate, manifest.history, manifest.metainfo} <= noted
