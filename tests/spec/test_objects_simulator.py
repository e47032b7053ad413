"""The simulator is a repository like any other: what was published into it comes out of it, lies only on request."""

from __future__ import annotations

import stat
from io import BytesIO
from pathlib import Path

import pytest

from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.tree import CatalogTree
from swrepo.errors import CorruptObject, ObjectNotFound
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.format.xattr import decode
from swrepo.objects.store import Want
from tests.simulated_trees import Directory, File, Special, Symlink, Tree
from tests.simulator import RepositorySimulator, flipped

TREE: Tree = {
    b"/bin/hello": File(b"#!/bin/sh\necho hello\n", mode=0o755, uid=7, gid=8, mtime=-1, mtime_ns=5),
    b"/bin/hi": Symlink(b"hello"),
    b"/data/large": File(bytes(range(256)) * 40, chunk_size=4096, compression=Compression.NONE),
    b"/data/empty": File(),
    b"/data/a": File(b"linked", link="group"),
    b"/data/b": File(b"linked", link="group"),
    b"/data/deep/er/file": File(b"at the bottom", xattrs={b"user.x": b"y"}),
    b"/fifo": Special(stat.S_IFIFO),
    b"/private": Directory(mode=0o700),
}


@pytest.fixture(params=Algorithm, ids=lambda algorithm: algorithm.name)
def repository(request: pytest.FixtureRequest) -> RepositorySimulator:
    found = RepositorySimulator(algorithm=request.param)
    found.publish(TREE, nested=[b"/data", b"/data/deep"])
    return found


@pytest.fixture
def catalogs(repository: RepositorySimulator, tmp_path: Path) -> CatalogTree:
    def load(object_id: ObjectId, size: int | None, mountpoint: bytes) -> CatalogFile:
        with (tmp_path / object_id.name).open("wb") as out:
            repository.fetch(Want(object_id, size=size), out)
        return CatalogFile.open(tmp_path / object_id.name, mountpoint)

    root = load(repository.manifest.root_catalog, repository.manifest.root_size, b"")
    return CatalogTree(root, lambda ref: load(ref.id, ref.size, ref.path))


def test_every_entry_is_found_where_it_was_put(catalogs: CatalogTree) -> None:
    for path, node in TREE.items():
        entry = catalogs.lookup(path)
        assert entry is not None
        assert (stat.S_IMODE(entry.mode), entry.uid, entry.gid) == (node.mode, node.uid, node.gid)
        assert (entry.mtime, entry.mtime_ns) == (node.mtime, node.mtime_ns)
        assert decode(entry.xattr_blob) == node.xattrs
        assert entry.symlink == (node.target if isinstance(node, Symlink) else b"")
    assert [entry.name for entry in catalogs.listing(b"")] == [b"bin", b"data", b"fifo", b"private"]
    assert len(catalogs.loaded()) == 3


def test_the_bytes_of_files_come_back_whole_and_in_chunks(
    repository: RepositorySimulator, catalogs: CatalogTree
) -> None:
    for path, node in TREE.items():
        entry = catalogs.lookup(path)
        if not isinstance(node, File) or entry is None:
            continue
        out = BytesIO()
        if entry.content is not None:
            repository.fetch(Want(entry.content, entry.compression, entry.size), out)
        for chunk in catalogs.chunks(path):
            piece = BytesIO()
            repository.fetch(Want(entry.chunk_id(chunk), entry.compression, chunk.size), piece)
            out.write(piece.getvalue())
        assert out.getvalue() == node.content


def test_link_counts_and_counters_are_right(catalogs: CatalogTree) -> None:
    links = {path: catalogs.lookup(path) for path in (b"", b"/data", b"/data/a", b"/data/b", b"/data/empty")}
    assert {path: entry.linkcount for path, entry in links.items() if entry} == {
        b"": 5,
        b"/data": 3,
        b"/data/a": 2,
        b"/data/b": 2,
        b"/data/empty": 1,
    }
    total = catalogs.root.counters().total
    assert (total.regular, total.symlink, total.special, total.nested) == (6, 1, 1, 2)
    assert (total.chunked, total.chunks) == (1, 3)


def test_publishing_again_is_a_new_revision(repository: RepositorySimulator) -> None:
    before = repository.manifest
    repository.publish({b"/other": File(b"content")})
    assert repository.manifest.revision == before.revision + 1
    assert repository.manifest.root_catalog != before.root_catalog
    stored = dict(repository.stored)
    repository.publish({b"/other": File(b"content")})
    files = [path for path in repository.stored.keys() - stored.keys() if not path.endswith("C")]
    assert files == []


def test_requests_are_counted_and_lies_are_told(repository: RepositorySimulator) -> None:
    name = repository.put(b"true", Kind.FILE)
    repository.requests.clear()
    repository.fetch(Want(name), BytesIO())
    assert repository.requests == [name.path]
    repository.lies[name.path] = lambda stored: flipped(stored, 20)
    with pytest.raises(CorruptObject):
        repository.fetch(Want(name), BytesIO())
    del repository.stored[name.path]
    with pytest.raises(ObjectNotFound):
        repository.fetch(Want(name), BytesIO())
    assert repository.requests == [name.path] * 3
