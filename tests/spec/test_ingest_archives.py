"""Tar archives are published without being unpacked: whatever their order, whatever they replace, whatever is hostile."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import random
import stat
import tarfile
import tracemalloc
import zlib
from contextlib import suppress
from io import BytesIO

import pytest
import zstandard

from swrepo.errors import FormatError, NotFound, PublishError
from swrepo.format import xattr
from swrepo.publish.archive import Owner
from swrepo.publish.ingestion import Ingestion
from swrepo.publish.tar_stream import TarStream
from swrepo.publish.unpacking import unpacked
from tests.archives import ingest, item, shown, tar
from tests.publishing import Server, check_catalogs, check_documents, fast_options

SAMPLE = tar(item("d", "d"), item("d/f", content=b"hello"), item("d/l", "l", linkname="f"))


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path)


def check(server):
    manifest = server.manifest()
    with server.revision(manifest) as revision:
        catalogs = check_catalogs(revision)
    check_documents(server.places, manifest)
    return catalogs


def lookup(server, path):
    with server.revision() as revision:
        return revision.lookup(path)


PACKED = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "two gzip streams": lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "two bzip2 streams": lambda data: bz2.compress(data[:700]) + bz2.compress(data[700:]),
    "zstd": zstandard.compress,
    "two zstd frames": lambda data: zstandard.compress(data[:700]) + zstandard.compress(data[700:]),
}


def members(data):
    """Names and contents of an archive."""
    plain = unpacked(BytesIO(data).read)
    return [
        (found.name.rstrip(b"/"), found.content.read_fully(1 << 30)) for found in TarStream(plain.read, plain.is_sealed)
    ]


@pytest.mark.parametrize("kind", PACKED)
def test_an_archive_may_be_compressed(kind):
    assert members(PACKED[kind](SAMPLE)) == [(b"d", b""), (b"d/f", b"hello"), (b"d/l", b"")]


@pytest.mark.parametrize("kind", PACKED)
def test_a_truncated_archive_is_never_taken_for_a_whole_one(kind):
    data = tar(item("f", content=random.Random(1).randbytes(3000)))
    whole = PACKED[kind](data)
    end = 3584 if kind == "plain" else len(whole) - 1
    for length in (*range(1, end, 97), end):
        with pytest.raises(FormatError, match=r"truncated|damaged"):
            members(whole[:length])


def test_a_truncated_archive_changes_nothing(server):
    before = server.manifest()
    with pytest.raises(FormatError, match="truncated"):
        ingest(server, gzip.compress(SAMPLE)[:-5])
    assert server.manifest() == before


def test_an_archive_without_an_end_mark_may_be_truncated_unless_a_checksum_says_otherwise(server):
    data = tar(item("f", content=b"x"), end=False)
    with pytest.raises(FormatError, match="no end mark"):
        ingest(server, data)
    ingest(server, gzip.compress(data))
    assert shown(server) == {b"/f": b"x"}


def test_nothing_at_all_is_no_archive_but_an_archive_of_nothing_is(server):
    with pytest.raises(FormatError, match="the archive is empty"):
        ingest(server, b"", b"/base")
    ingest(server, bytes(10240), b"/base", catalog=True)
    assert shown(server) == {b"/base": "d", b"/base/.cvmfscatalog": b""}
    check(server)


@pytest.mark.parametrize("seed", range(5))
def test_an_archive_with_wrong_bits_is_refused_or_read(seed):
    dice = random.Random(seed)
    data = bytearray(
        tar(item("d", "d"), item("d/" + "n" * 120, content=b"x" * 600, pax_headers={"SCHILY.xattr.user.a": "b"}))
    )
    for _ in range(40):
        damaged = bytearray(data)
        damaged[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        with suppress(FormatError):
            members(bytes(damaged))


def test_any_bytes_are_an_archive_or_a_format_error():
    dice = random.Random(7)
    for magic in (b"", b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"BZh9", b"\x28\xb5\x2f\xfd"):
        for length in (0, 10, 600, 5000):
            with pytest.raises(FormatError):
                members(magic + dice.randbytes(length))


def test_everything_that_an_archive_tells_is_published(server):
    attributes = {"SCHILY.xattr.user.colour": "blue", "LIBARCHIVE.xattr.user.a%20b": "AAE="}
    ingest(
        server,
        tar(
            item("top", "d", mode=0o2750, uid=12, gid=34, mtime=1_600_000_000.25),
            item("top/f", content=b"abc", mode=0o4711, uid=3_000_000_000, gid=7, mtime=-5.5, pax_headers=attributes),
            item("top/c", "c", devmajor=5, devminor=300),
            item("top/b", "b", devmajor=7, devminor=1),
            item("top/p", "p", mode=0o600),
            item("top/" + "x" * 255, content=b"long"),
            item("top/" + "/".join(["deep" * 20] * 12) + "/f", content=b"deep"),
            item("top/l", "l", linkname="y" * 300),
        ),
    )
    top, file = lookup(server, b"/top"), lookup(server, b"/top/f")
    assert (top.mode, top.uid, top.gid, top.mtime, top.mtime_ns) == (0o42750, 12, 34, 1_600_000_000, 250_000_000)
    assert (file.mode, file.uid, file.gid, file.mtime, file.mtime_ns) == (0o104711, 3_000_000_000, 7, -6, 500_000_000)
    assert xattr.decode(file.xattr_blob) == {b"user.colour": b"blue", b"user.a b": b"\0\1"}
    device = lookup(server, b"/top/c")
    assert stat.S_ISCHR(device.mode)
    assert device.rdev == 5 << 8 | 300 & 0xFF | (300 & ~0xFF) << 12
    assert stat.S_ISFIFO(lookup(server, b"/top/p").mode)
    assert lookup(server, b"/top/l").symlink == b"y" * 300
    assert shown(server)[b"/top/" + b"x" * 255] == b"long"
    check(server)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_long_names_is_read(server, form):
    directory = "d" * 90
    names = [f"{directory}/{'n' * 60}", f"{directory}/{'n' * 99}"]
    if form != tarfile.USTAR_FORMAT:
        names.append(f"{directory}/{'e' * 250}/{'f' * 250}")
    ingest(server, tar(*(item(name, content=name.encode()) for name in names), format=form))
    found = shown(server)
    for name in names:
        assert found[b"/" + name.encode()] == name.encode()


def test_everything_belongs_to_whom_one_says(server):
    ingest(server, tar(item("a/f", uid=1, gid=2)), b"/kept")
    ingest(server, tar(item("a/f", uid=1, gid=2)), b"/given", Owner(500, 600))
    kept, given = lookup(server, b"/kept/a/f"), lookup(server, b"/given/a/f")
    assert (kept.uid, kept.gid, given.uid, given.gid) == (1, 2, 500, 600)
    made = [lookup(server, path) for path in (b"/kept", b"/kept/a", b"/given/a")]
    assert [(entry.uid, entry.gid) for entry in made] == [(65534, 65534), (65534, 65534), (500, 600)]


def test_a_directory_may_come_after_what_it_holds_or_never(server):
    ingest(server, tar(item("a/b/f", content=b"1"), item("a", "d", mode=0o711), item("c/g", content=b"2")))
    assert shown(server) == {b"/a": "d", b"/a/b": "d", b"/a/b/f": b"1", b"/c": "d", b"/c/g": b"2"}
    assert lookup(server, b"/a").mode == 0o40711
    check(server)


def test_what_comes_later_in_an_archive_holds(server):
    data = tar(
        item("f", content=b"old"),
        item("d", "d"),
        item("d/below", content=b"gone"),
        item("f", content=b"new"),
        item("d", content=b"a file now"),
        item("x", content=b"a directory soon"),
        item("x", "d"),
        item("x/y", content=b"below"),
    )
    ingest(server, data)
    assert shown(server) == {b"/f": b"new", b"/d": b"a file now", b"/x": "d", b"/x/y": b"below"}
    check(server)


def test_an_archive_lies_over_what_is_there(server):
    first = tar(
        item("a/keep", content=b"1"),
        item("a/change", content=b"2"),
        item("t/x/y", content=b"3"),
        item("s", "l", linkname="a"),
    )
    ingest(server, first, b"/base")
    second = tar(
        item("a/change", content=b"22"), item("a/new", content=b"4"), item("t/x", content=b"a file"), item("s", "d")
    )
    outcome = ingest(server, second, b"/base")
    assert shown(server) == {
        b"/base": "d",
        b"/base/a": "d",
        b"/base/a/keep": b"1",
        b"/base/a/change": b"22",
        b"/base/a/new": b"4",
        b"/base/t": "d",
        b"/base/t/x": b"a file",
        b"/base/s": "d",
    }
    check(server)
    assert outcome.published
    assert not ingest(server, second, b"/base").published


def test_something_cannot_lie_below_a_file_or_a_link(server):
    ingest(server, tar(item("link", "l", linkname="/etc"), item("file")))
    for name in ("link/passwd", "file/x"):
        with pytest.raises(PublishError, match="is no directory in the last revision"):
            ingest(server, tar(item(name)))
    with pytest.raises(PublishError, match="is no directory in the archive"):
        ingest(server, tar(item("other", "l", linkname="/etc"), item("other/passwd")))
    ingest(server, tar(item("link/passwd")), deletes=(b"/link",))
    assert shown(server)[b"/link/passwd"] == b""


def test_paths_are_deleted_before_the_archive_is_laid(server):
    ingest(server, tar(item("a/b/old", content=b"1"), item("a/c"), item("z")))
    outcome = ingest(server, tar(item("a/b/new", content=b"2")), deletes=(b"/a/b", b"/z", b"/not/there"))
    assert shown(server) == {b"/a": "d", b"/a/b": "d", b"/a/b/new": b"2", b"/a/c": b""}
    assert (outcome.added, outcome.removed) == (1, 2)
    ingest(server, None, deletes=(b"/a",))
    assert shown(server) == {}
    with pytest.raises(NotFound, match="nothing to delete"):
        ingest(server, None, deletes=(b"/a",))
    check(server)


def test_nested_catalogs_begin_at_markers_and_go_with_them(server):
    ingest(
        server,
        tar(item("a/.cvmfscatalog"), item("a/b/.cvmfscatalog"), item("a/b/f", content=b"1")),
        b"/base",
        catalog=True,
    )
    assert set(check(server)) == {b"", b"/base", b"/base/a", b"/base/a/b"}
    ingest(server, tar(item("b/g", content=b"2")), b"/base/a", catalog=True)
    assert set(check(server)) == {b"", b"/base", b"/base/a", b"/base/a/b"}
    ingest(server, None, deletes=(b"/base/a/b/.cvmfscatalog",))
    assert set(check(server)) == {b"", b"/base", b"/base/a"}
    ingest(server, tar(item("c")), b"/base/a/new", deletes=(b"/base/a/b",))
    assert set(check(server)) == {b"", b"/base", b"/base/a"}
    ingest(server, None, deletes=(b"/base",))
    assert set(check(server)) == {b""}


def test_rules_for_nested_catalogs_hold_for_archives(server):
    ingest(server, tar(item(".cvmfsdirtab", content=b"/sw/*\n")))
    ingest(server, tar(item("one/f"), item("two/f")), b"/sw")
    assert set(check(server)) == {b"", b"/sw/one", b"/sw/two"}


def test_the_name_that_is_the_repositorys_own_is_refused(server):
    with pytest.raises(PublishError, match="reserved for the repository"):
        ingest(server, tar(item(".cvmfs/x")))


def test_a_marker_that_is_no_file_is_refused(server):
    with pytest.raises(PublishError, match="has to be a regular file"):
        ingest(server, tar(item("a/.cvmfscatalog", "d")))


def groups(server):
    with server.revision() as revision:
        found = {}
        for path in shown(server):
            entry = revision.lookup(path)
            if not entry.is_directory:
                found.setdefault(revision.inode(path), []).append(path)
                assert entry.linkcount == 1 or entry.hardlink_group
    return sorted(names for names in found.values() if len(names) > 1)


def test_hard_links_in_a_directory_are_links_and_others_are_files(server):
    data = tar(
        item("d/b", "h", linkname="d/a"),  # before what it names
        item("d/a", content=b"abc"),
        item("d/c", "h", linkname="d/b"),
        item("e/c", "h", linkname="d/a"),
    )
    ingest(server, data)
    assert set(shown(server).values()) == {"d", b"abc"}
    assert groups(server) == [[b"/d/a", b"/d/b", b"/d/c"]]
    assert not ingest(server, data).published
    ingest(server, tar(item("d/b", content=b"other")))
    assert groups(server) == [[b"/d/a", b"/d/c"]]
    ingest(server, None, deletes=(b"/d/c",))
    assert groups(server) == []
    assert lookup(server, b"/d/a").hardlinks == 1
    ingest(server, tar(item("new", "h", linkname="d/a")))  # what only the repository has
    assert shown(server)[b"/new"] == b"abc"
    with pytest.raises(PublishError, match="is no file in the archive or the repository"):
        ingest(server, tar(item("x", "h", linkname="nowhere")))
    check(server)


def test_a_link_is_to_the_file_that_was_there_when_it_was_made(server):
    ingest(server, tar(item("a", content=b"1"), item("b", "h", linkname="a"), item("a", content=b"2")))
    assert shown(server) == {b"/a": b"2", b"/b": b"1"}


HOSTILE = {
    "'..' in its name": item("a/../../etc/passwd"),
    "an absolute name": item("/etc/passwd"),
    "NUL byte": item("ignored", pax_headers={"path": "a\0b"}),
    "an empty name": item(""),
    "more than 255 bytes": item("n" * 256),
    "'..'": item("x", "h", linkname="../x"),
    "a symbolic link to nothing": item("x", "l", linkname=""),
    "longer path than systems take": item("x", "l", linkname="l" * 4096),
    "is none": item("."),
    "whom no system has": item("x", pax_headers={"uid": "-7"}),
}


@pytest.mark.parametrize("message", HOSTILE)
def test_hostile_members_are_refused_with_a_sentence_that_names_them(server, message):
    before = server.manifest()
    with pytest.raises(PublishError, match=message) as caught:
        ingest(server, tar(item("fine"), HOSTILE[message], item("../second")))
    assert "2 paths cannot be published" in str(caught.value)
    assert server.manifest() == before


def test_a_member_of_a_kind_that_no_file_system_has_is_refused(server):
    with pytest.raises(FormatError, match="of the kind b'M'"):
        ingest(server, tar(item("x", "M")))


def test_a_header_that_tells_of_endless_attributes_is_refused_before_they_are_read(server):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    with pytest.raises(FormatError, match=r"name or attributes of 1,099"):
        ingest(server, header.tobuf(tarfile.GNU_FORMAT))


def sparse_header(size, segments, name=b"sparse"):
    """A member in the old format of GNU tar, with its data."""
    info = tarfile.TarInfo(name.decode())
    info.size, info.type = sum(length for _, length in segments), b"S"
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    fields = [b"%011o\0%011o\0" % segment for segment in segments]
    block[386:482] = b"".join(fields[:4]).ljust(96, b"\0")
    block[482] = len(fields) > 4
    block[483:495] = b"%011o\0" % size
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    more = b""
    for start in range(4, len(fields), 21):
        part = b"".join(fields[start : start + 21]).ljust(504, b"\0")
        more += part + bytes([start + 21 < len(fields)]) + bytes(7)
    return bytes(block) + more


def test_sparse_files_are_published_with_their_holes_filled(server):
    segments = [(1000 * number, number + 1) for number in range(30)]
    data = b"".join(b"%c" % (65 + number) * (number + 1) for number in range(30))
    padded = data + bytes(-len(data) % 512)
    ingest(server, sparse_header(40_000, segments) + padded + bytes(1024))
    expected = bytearray(40_000)
    for number, (offset, length) in enumerate(segments):
        expected[offset : offset + length] = b"%c" % (65 + number) * length
    assert shown(server)[b"/sparse"] == bytes(expected)


def test_the_holes_of_a_sparse_file_are_one_object(server):
    """Of the holes one object is made, however many there are."""
    size = 16384 * 20_000
    before = len(server.objects())
    ingest(server, sparse_header(size, [(size - 5, 5)]) + b"hello".ljust(512, b"\0") + bytes(1024))
    with server.revision() as revision:
        content = revision.content(b"/sparse")
        assert (content.size, content.pread(size - 7, 7)) == (size, b"\0\0hello")
        content.close()
    assert len(server.objects()) - before < 12


def test_a_map_of_a_sparse_file_that_is_nonsense_is_refused(server):
    for segments in ([(5, 10), (3, 1)], [(0, 10**6)], [(0, 5)]):
        data = bytearray(sparse_header(1000, segments) + bytes(2048))
        if segments == [(0, 5)]:
            data[124:136] = b"%011o\0" % 7
            data[148:156] = b"        "
            data[148:156] = b"%06o\0 " % sum(data[:512])
        with pytest.raises(FormatError, match="sparse file"):
            ingest(server, bytes(data))


def test_large_members_are_cut_into_the_chunks_that_the_same_file_on_disk_is_cut_into(server):
    content = random.Random(3).randbytes(300_000)
    ingest(server, tar(item("big", content=content)))
    (server.tree / "big").write_bytes(content)
    with server.revision() as revision:
        assert len(chunks := revision.chunks(b"/big")) > 10
    server.publish()
    with server.revision() as revision:
        assert revision.chunks(b"/big") == chunks


def test_files_that_are_not_cut_are_one_object(tmp_path):
    server = Server(tmp_path, fast_options(chunks=None))
    content = random.Random(3).randbytes(9 << 20)
    ingest(server, tar(item("big", content=content)))
    assert shown(server) == {b"/big": content}
    assert not lookup(server, b"/big").is_chunked


class Stopped(BaseException):
    """Kill -9, as far as one process can have it."""


def test_what_was_stored_before_a_stop_is_not_made_again(server):
    dice = random.Random(5)
    data = tar(
        *(item(f"d/{number}", content=dice.randbytes(5000 + 40_000 * (number % 7 == 0))) for number in range(40))
    )
    whole = BytesIO(data)

    def stopping(size):
        if whole.tell() > len(data) * 3 // 4:
            raise Stopped
        return whole.read(min(size, 4096))

    with pytest.raises(Stopped):
        server.publisher().publish_archives(server.fqrn, Ingestion(stopping))
    outcome = ingest(server, gzip.compress(data))  # the same contents, however they come
    assert len(shown(server)) == 41
    total = len(server.objects())
    assert outcome.new_objects < total / 2


def test_what_follows_the_end_of_an_archive_is_noticed(server):
    ingestion = Ingestion(BytesIO(SAMPLE + SAMPLE).read)
    server.publisher().publish_archives(server.fqrn, ingestion)
    assert ingestion.has_more
    ingestion = Ingestion(BytesIO(SAMPLE + bytes(5000)).read)
    server.publisher().publish_archives(server.fqrn, ingestion)
    assert not ingestion.has_more


def test_memory_does_not_grow_with_what_a_member_inflates_to():
    size = 100 << 20
    header = tarfile.TarInfo("zeros")
    header.size = size
    packed = BytesIO()
    with zstandard.ZstdCompressor(level=1).stream_writer(packed, closefd=False) as out:
        out.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(100):
            out.write(bytes(1 << 20))
        out.write(bytes(1024))
    plain = unpacked(BytesIO(packed.getvalue()).read)
    tracemalloc.start()
    try:
        for member in TarStream(plain.read, plain.is_sealed):
            read = 0
            while part := member.content.read(1 << 20):
                read += len(part)
            assert read == size
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


def test_publishing_a_directory_keeps_what_came_from_archives_until_it_is_deleted(server):
    (server.tree / "sw").mkdir()
    (server.tree / "sw/own").write_bytes(b"own")
    server.publish()
    ingest(server, tar(item("gcc/bin/gcc", content=b"gcc")), b"/sw", catalog=True)
    ingest(server, tar(item("f", content=b"1"), item("d/g", content=b"2")), b"/alone/deep")
    (server.tree / "sw/own").write_bytes(b"changed")
    outcome = server.publish()
    assert (outcome.changed, outcome.removed) == (1, 0)
    found = shown(server)
    assert (found[b"/sw/gcc/bin/gcc"], found[b"/sw/own"], found[b"/alone/deep/d/g"]) == (b"gcc", b"changed", b"2")
    check(server)
    assert not server.publish().published
    ingest(server, None, deletes=(b"/sw/gcc", b"/alone"))
    (server.tree / "sw/gcc").mkdir()
    server.publish()
    (server.tree / "sw/gcc").rmdir()
    server.publish()
    assert {path for path in shown(server) if path.count(b"/") < 3} == {b"/sw", b"/sw/own", b"/sw/.cvmfscatalog"}
    check(server)


GRAFT = b"size=%d\nchecksum=%s\n"


def grafted(content):
    """A marker for this content, which nobody stores."""
    return GRAFT % (len(content), hashlib.sha1(zlib.compress(content)).hexdigest().encode())


@pytest.mark.parametrize("order", [("marker", "file"), ("file", "marker"), ("marker",)])
def test_a_marker_in_an_archive_says_of_which_content_its_file_is(server, order):
    (server.tree / "d").mkdir()
    (server.tree / "d/f").write_bytes(b"of before")
    os.chmod(server.tree / "d/f", 0o640)
    server.publish()
    parts = {
        "marker": item("d/.cvmfsgraft-f", content=grafted(b"elsewhere" * 9)),
        "file": item("d/f", mode=0o755),
    }
    outcome = ingest(server, tar(*(parts[name] for name in order)))
    entry = lookup(server, b"/d/f")
    assert entry.size == 81
    assert entry.mode == (0o100755 if "file" in order else 0o100640)
    assert entry.content.text in grafted(b"elsewhere" * 9).decode()
    with server.revision() as revision:
        assert revision.find(b"/d/.cvmfsgraft-f") is None
    assert "1 grafted files have contents that are not in the store, as /d/f" in outcome.remarks[-1]
    check(server)


def test_chunks_of_a_grafted_file_come_from_its_marker(server):
    marker = b"size=30\nchecksum=%s\nchunk_offsets=0,10\nchunk_checksums=%s,%s\n" % (b"0" * 40, b"a" * 40, b"b" * 40)
    ingest(server, tar(item("f"), item(".cvmfsgraft-f", content=marker)), b"/base")
    with server.revision() as revision:
        assert [(chunk.offset, chunk.size) for chunk in revision.chunks(b"/base/f")] == [(0, 10), (10, 20)]


def test_a_marker_without_its_file_or_without_sense_is_a_fault_of_the_archive(server):
    with pytest.raises(PublishError, match="there is no file f beside it"):
        ingest(server, tar(item("d/.cvmfsgraft-f", content=grafted(b"x"))))
    with pytest.raises(PublishError, match="has no line checksum="):
        ingest(server, tar(item("f"), item(".cvmfsgraft-f", content=b"size=3\n")))
    ingest(server, tar(item("d/f")))
    with pytest.raises(PublishError, match="there is no file f beside it"):
        ingest(server, tar(item("e", "d"), item("d/.cvmfsgraft-f", content=grafted(b"x"))), deletes=(b"/d",))


def test_rules_in_an_archive_hold_at_once_for_what_it_brings_and_for_what_is_there(server):
    for name in ("old/a", "old/b", "other"):
        (server.tree / name).mkdir(parents=True)
    server.publish()
    ingest(server, tar(item(".cvmfsdirtab", content=b"/new/*\n/old/*\n! /old/b\n"), item("new/c/f")))
    assert set(check(server)) == {b"", b"/new/c", b"/old/a"}
    ingest(server, tar(item("new/d/f")))
    assert set(check(server)) == {b"", b"/new/c", b"/new/d", b"/old/a"}


def test_rules_in_an_archive_bring_nothing_back_that_is_deleted(server):
    (server.tree / "old/a").mkdir(parents=True)
    server.publish()
    ingest(server, tar(item(".cvmfsdirtab", content=b"/old/*\n")), deletes=(b"/old",))
    assert set(check(server)) == {b""}
    assert b"/old" not in shown(server)


def test_rules_in_an_archive_that_have_no_sense_are_a_fault(server):
    with pytest.raises(PublishError, match="has to begin with a slash"):
        ingest(server, tar(item(".cvmfsdirtab", content=b"new\n")))
    ingest(server, tar(item(".cvmfsdirtab", content=b"/new/*\n")))
    ingest(server, None, deletes=(b"/.cvmfsdirtab",))
    ingest(server, tar(item("new/c/f")))
    assert set(check(server)) == {b""}
