"""A revision as a file tree, and the bytes of its files."""

from __future__ import annotations

import os
import threading
from io import BytesIO
from pathlib import Path

import pytest

from swrepo.catalog.nested import NestedRef
from swrepo.errors import (
    FormatError,
    IsADirectory,
    NotADirectory,
    NotASymlink,
    ObjectNotFound,
    PathNotFound,
    TruncatedObject,
)
from swrepo.format import xattr
from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.object_id import Kind
from swrepo.objects import codec
from swrepo.objects.store import ExternalPlace, Want
from swrepo.repository.alternative import AlternativePaths
from swrepo.repository.content import Content
from swrepo.repository.revision import Revision
from swrepo.repository.status import status
from tests.trees import MemoryObjects, chunked, directory, entry, file, put_catalog, stored_id, symlink


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def revision(objects: MemoryObjects, tmp_path: Path) -> Revision:
    lower = put_catalog(objects, tmp_path, {b"/n/linked": file(b"in"), b"/n/twin": file(b"in")}, prefix=b"/n")
    objects.put(b"hello")
    linked = file(b"hello", group=3, links=2)
    root = put_catalog(
        objects,
        tmp_path,
        {
            b"/d": directory(),
            b"/d/hello": linked,
            b"/d/again": linked,
            b"/l": symlink(b"$(WHERE:-here)/x"),
            b"/n": directory(),
            b"/x": file(xattr_blob=xattr.encode({b"user.a": b"1"})),
        },
        nested=(NestedRef(b"/n", lower, None),),
        properties={"revision": "5"},
    )
    return Revision(root, objects)


def test_entries_are_found_listed_and_read(revision: Revision) -> None:
    assert revision.number == 5
    assert revision.lookup(b"/d/hello").size == 5
    assert [found.name for found in revision.listing(b"/d")] == [b"hello", b"again"]
    assert [found.name for found in revision.listing(b"/n")] == [b"linked", b"twin"]
    assert revision.find(b"/nothing") is None
    with revision.content(b"/d/hello") as content:
        assert b"".join(content.blocks(2)) == b"hello"


def test_links_are_expanded_with_the_given_environment(revision: Revision) -> None:
    assert revision.readlink(b"/l", {}) == b"here/x"
    assert revision.readlink(b"/l", {"WHERE": "there"}) == b"there/x"
    assert status(revision.lookup(b"/l"), {}).size == 6


def test_attributes_are_read(revision: Revision) -> None:
    assert revision.xattrs(b"/x") == {b"user.a": b"1"}
    assert revision.xattrs(b"/d") == {}


def test_names_of_one_file_share_an_inode_and_no_others_do(revision: Revision) -> None:
    assert revision.inode(b"/d/hello") == revision.inode(b"/d/again")
    paths = (b"/d/hello", b"/d", b"", b"/n", b"/n/linked", b"/n/twin", b"/x")
    assert len({revision.inode(path) for path in paths}) == len(paths)


def test_what_is_not_there_or_of_another_type_has_its_own_error(revision: Revision) -> None:
    with pytest.raises(PathNotFound, match="/none"):
        revision.lookup(b"/none")
    with pytest.raises(PathNotFound):
        revision.listing(b"/x/y")
    with pytest.raises(NotADirectory):
        revision.listing(b"/x")
    with pytest.raises(IsADirectory):
        revision.content(b"/d")
    with pytest.raises(NotASymlink):
        revision.readlink(b"/x", {})
    with pytest.raises(FormatError, match="regular"):
        revision.content(b"/l")


def test_a_nested_catalog_is_not_taken_for_a_root(objects: MemoryObjects, tmp_path: Path) -> None:
    nested = put_catalog(objects, tmp_path, {}, prefix=b"/a")
    with pytest.raises(FormatError, match="not a root catalog"):
        Revision(nested, objects)


def test_a_catalog_that_is_missing_is_an_error_of_the_object_and_not_of_the_path(
    objects: MemoryObjects, tmp_path: Path
) -> None:
    missing = stored_id(b"gone", Kind.CATALOG)
    root = put_catalog(objects, tmp_path, {b"/n": directory()}, nested=(NestedRef(b"/n", missing, None),))
    with Revision(root, objects) as revision, pytest.raises(ObjectNotFound):
        revision.lookup(b"/n/f")


# Content

PIECES = (b"a" * 10, b"b" * 7, b"c" * 20)


@pytest.fixture
def whole() -> bytes:
    return b"".join(PIECES)


@pytest.fixture
def content(objects: MemoryObjects, whole: bytes) -> Content:
    return Content(chunked(len(whole)), pieces(objects, PIECES), objects)


def pieces(objects: MemoryObjects, parts: tuple[bytes, ...]) -> tuple[Chunk, ...]:
    chunks, offset = [], 0
    for part in parts:
        chunks.append(Chunk(offset, len(part), objects.put_remote(part, Kind.PARTIAL).digest))
        offset += len(part)
    return tuple(chunks)


def test_every_range_of_a_chunked_file_is_what_it_is_of_the_whole(content: Content, whole: bytes) -> None:
    for offset in range(len(whole) + 3):
        for size in range(len(whole) + 3):
            assert content.pread(offset, size) == whole[offset : offset + size]
    assert content.pread(-1, 5) == b""


def test_only_the_chunks_of_the_range_are_opened(content: Content, objects: MemoryObjects) -> None:
    assert content.pread(11, 3) == b"bbb"
    assert objects.opened == [stored_id(PIECES[1], Kind.PARTIAL)]
    content.pread(12, 3)
    assert len(objects.opened) == 1


def test_without_fetching_a_missing_chunk_is_none(content: Content) -> None:
    assert content.try_pread(0, 5) is None
    content.pread(0, 5)
    assert content.try_pread(0, 5) == b"aaaaa"
    assert content.try_pread(5, 10) is None


def test_wants_tells_the_objects_of_a_range_with_their_sizes(content: Content) -> None:
    assert [want.size for want in content.wants()] == [10, 7, 20]
    assert [want.size for want in content.wants(9, 2)] == [10, 7]
    assert content.wants(100, 5) == []
    assert content.wants(0, 0) == []


def test_files_of_many_chunks_keep_few_of_them_open(objects: MemoryObjects) -> None:
    parts = tuple(b"%04d" % number for number in range(100))
    content = Content(chunked(400), pieces(objects, parts), objects)
    before = len(os.listdir("/proc/self/fd"))
    assert b"".join(content.blocks(16)) == b"".join(parts)
    assert len(os.listdir("/proc/self/fd")) - before <= 8
    content.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert content.pread(0, 4) == b"0000"
    content.close()


def test_many_threads_may_read_one_file(objects: MemoryObjects) -> None:
    parts = tuple(b"%04d" % number for number in range(50))
    content = Content(chunked(200), pieces(objects, parts), objects)
    wrong: list[int] = []

    def read(start: int) -> None:
        for step in range(50):
            index = (start + step * 7) % 50
            if content.pread(index * 4, 4) != parts[index]:
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content.close()
    assert wrong == []


def test_an_empty_file_needs_no_object(objects: MemoryObjects) -> None:
    content = Content(entry(), (), objects)
    assert (content.size, content.pread(0, 10), content.wants()) == (0, b"", [])


def test_a_file_is_wanted_with_its_algorithm_compression_and_size(objects: MemoryObjects) -> None:
    content = Content(entry(flags=4 | 2048, size=9, digest=b"d" * 20), (), objects)
    (want,) = content.wants()
    assert (want.size, want.compression) == (9, Compression.NONE)


@pytest.mark.parametrize(
    ("plain", "chunks"),
    [
        (chunked(10), ()),
        (chunked(10), (Chunk(0, 5, b"a" * 20),)),
        (chunked(10), (Chunk(1, 9, b"a" * 20),)),
        (chunked(10), (Chunk(0, 5, b"a" * 20), Chunk(6, 4, b"a" * 20))),
        (chunked(10), (Chunk(0, 6, b"a" * 20), Chunk(5, 5, b"a" * 20))),
        (chunked(10), (Chunk(0, 10, b"a" * 20), Chunk(10, 0, b"a" * 20))),
        (entry(size=10), ()),
        (entry(size=10, digest=b"short"), ()),
        (entry(mode=0o120777, flags=12), ()),
        (entry(mode=0o020666, flags=20), ()),
        (entry(size=1, digest=b"d" * 20, flags=4 | 7 << 8), ()),
        (entry(size=1, digest=b"d" * 20, flags=4 | 7 << 11), ()),
    ],
)
def test_entries_whose_bytes_cannot_be_found_are_refused(
    plain: Dirent, chunks: tuple[Chunk, ...], objects: MemoryObjects
) -> None:
    with pytest.raises(FormatError):
        Content(plain, chunks, objects)


def test_external_content_is_wanted_from_where_it_lies(objects: MemoryObjects) -> None:
    whole = Content(entry(flags=4 | 128, size=3, digest=b"d" * 20), (), objects, b"/a/b")
    assert [want.place for want in whole.wants()] == [ExternalPlace(b"/a/b")]
    chunks = (Chunk(0, 2, b"c" * 20), Chunk(2, 1, b"d" * 20))
    parts = Content(entry(flags=4 | 64 | 128 | 2048, size=3, digest=None), chunks, objects, b"/a/b")
    assert [want.place for want in parts.wants()] == [ExternalPlace(b"/a/b", 0), ExternalPlace(b"/a/b", 2)]


def test_a_local_copy_that_became_shorter_is_found_out(objects: MemoryObjects) -> None:
    short = objects.put(b"short")
    content = Content(entry(size=10, digest=short.digest), (), objects)
    with pytest.raises(TruncatedObject):
        content.pread(0, 10)


# Status


def test_devices_have_a_number_and_no_size() -> None:
    found = status(entry(mode=0o020666, flags=20, size=259), {})
    assert (found.size, found.rdev) == (0, 259)


def test_an_owner_that_no_kernel_takes_is_shown_as_nobody() -> None:
    found = status(directory(uid=0xFFFFFFFF, gid=0xFFFFFFFF), {})
    assert (found.uid, found.gid) == (65534, 65534)


def test_a_link_count_of_zero_is_shown_as_one() -> None:
    assert status(entry(hardlinks=0), {}).nlink == 1


# Objects beside data/


class AltDocuments:
    """A Documents with one alternative object."""

    def __init__(self, content: bytes) -> None:
        self.stored = codec.encode(content, Compression.ZLIB)
        self.name = f".cvmfsalt-{stored_id(content, Kind.CERTIFICATE).name}"

    def read(self, name: str, limit: int = 0) -> bytes:
        if name != self.name:
            raise ObjectNotFound(f"no document {name}")
        return self.stored


def test_a_certificate_that_is_not_in_data_is_read_from_its_alternative_path(objects: MemoryObjects) -> None:
    source = AlternativePaths(objects, AltDocuments(b"certificate"))
    out = BytesIO()
    source.fetch(Want(stored_id(b"certificate", Kind.CERTIFICATE)), out)
    assert out.getvalue() == b"certificate"
    objects.put(b"other", Kind.CERTIFICATE)
    source.fetch(Want(stored_id(b"other", Kind.CERTIFICATE)), out := BytesIO())
    assert out.getvalue() == b"other"
    with pytest.raises(ObjectNotFound, match="no object"):
        source.fetch(Want(stored_id(b"gone", Kind.CERTIFICATE)), BytesIO())
    with pytest.raises(ObjectNotFound):
        source.fetch(Want(stored_id(b"certificate", Kind.FILE)), BytesIO())
