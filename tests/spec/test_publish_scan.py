"""publish.tree_diff, publish.ingest: a work tree becomes changes, and only what changed is read and stored."""

from __future__ import annotations

import hashlib
import inspect
import os
import random
import socket
import stat
import sys
import threading
import zlib
from io import BytesIO

import pytest

from swrepo.errors import PublishError
from swrepo.format import xattr
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, ObjectId
from swrepo.format.paths import ROOT
from swrepo.objects import codec
from swrepo.objects.chunker import ChunkSizes
from swrepo.objects.store import Want
from swrepo.publish import settled
from swrepo.publish.changes import Put, Removed, Verb, difference
from swrepo.publish.encoder import Compressor, Encoder
from swrepo.publish.entries import EntryRules
from swrepo.publish.faults import Faults
from swrepo.publish.ingest import Ingest
from swrepo.publish.nesting import CatalogPlaces, rules_in
from swrepo.publish.progress import Silent
from swrepo.publish.reader import FileReader
from swrepo.publish.settled import Settled
from swrepo.publish.staged import Staged
from swrepo.publish.tree_diff import TreeDiff
from tests.publishing import Clock, MemoryRevision, MemoryStore

EMPTY_OBJECT = "e8ec3d88b62ebf526e4e5a4ff6162a3aa48a6b78"


class Bench:
    """A work tree, a store, and the revision that was made last."""

    def __init__(self, tmp_path, encoder=None, sizes=None):
        self.tree = tmp_path / "tree"
        self.tree.mkdir()
        self.staged_path = tmp_path / "staged.db"
        self.store = MemoryStore()
        self.encoder = encoder or Encoder()
        self.rules = EntryRules(self.encoder.algorithm, self.encoder.compression)
        self.sizes = sizes or ChunkSizes(4096, 8192, 16384)
        self.last = MemoryRevision()
        self.settled = Settled()
        self.clock = Clock()
        self.read = []

    def scan(self):
        """Every change, complete; remembers the scan for the next."""
        faults, source = Faults(), os.fsencode(self.tree)
        self.settled.now_ns = self.clock.ns
        scan = TreeDiff(source, self.last, self.rules, self.settled, faults, self.places(source, faults))
        staged = Staged(self.staged_path, "test", self.clock.nanoseconds)
        reader = FileReader(self.store, self.store, self.encoder, self.sizes)
        with Ingest(source, reader, self.rules, self.last, staged, faults, self.Watch(self), threads=2) as ingest:
            changes = list(ingest.complete(scan))
        staged.close()
        faults.raise_any()
        self.scan_result = scan
        return changes

    def places(self, source, faults):
        return CatalogPlaces(self.encoder, self.store, rules_in(source, faults))

    def publish(self):
        """What changed, as {path: verb}; the revision moves on."""
        self.read.clear()
        changes = self.scan()
        self.last = self.last.apply(changes)
        self.settled = Settled(self.clock.ns, self.scan_result.directories)
        found = [difference(change) for change in changes]
        return {item.path: item.verb for item in found if item is not None}

    def entry(self, path):
        return self.last.entries[path].entry

    def plain(self, path):
        put = self.last.entries[path]
        return self.store.plain(put.entry, put.chunks)

    class Watch(Silent):
        def __init__(self, bench):
            self.bench = bench

        def advance(self, files, size):
            self.bench.read.append(size)


class Watched(MemoryRevision):
    """Knows which directories were listed."""

    def __init__(self, entries):
        super().__init__(entries)
        self.listed = []

    def listing(self, path):
        self.listed.append(path)
        return super().listing(path)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_every_kind_of_file_gets_the_entry_of_its_lstat(bench):
    tree = bench.tree
    (tree / "file").write_bytes(b"content")
    (tree / "empty").touch()
    (tree / "link").symlink_to("no/where")
    (tree / "dir").mkdir()
    (tree / "dir" / "sub").mkdir(mode=0o700)
    os.mkfifo(tree / "fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(tree, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    (tree / "file").chmod(0o4755)
    os.utime(tree / "file", ns=(0, -1_500_000_000))
    bench.publish()
    for path in sorted(tree.rglob("*")):
        status, entry = path.lstat(), bench.entry(b"/" + os.fsencode(path.relative_to(tree)))
        assert entry.mode == status.st_mode
        assert (entry.uid, entry.gid) == (status.st_uid, status.st_gid)
        assert entry.mtime * 10**9 + entry.mtime_ns == status.st_mtime_ns
    assert bench.plain(b"/file") == b"content"
    assert (bench.entry(b"/file").mtime, bench.entry(b"/file").mtime_ns) == (-2, 500_000_000)
    assert bench.entry(b"/empty").content == ObjectId.parse(EMPTY_OBJECT)
    assert bench.entry(b"/link").symlink == b"no/where"
    assert (bench.entry(b"/link").size, bench.entry(b"/link").flags) == (8, 12)
    assert bench.entry(b"/fifo").is_special
    assert bench.entry(b"/socket").size == 0
    assert (bench.entry(b"/dir").size, bench.entry(b"/dir").linkcount, bench.entry(b"/dir").flags) == (4096, 3, 1)
    assert bench.entry(ROOT).linkcount == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make devices")
def test_devices_keep_their_number(bench):
    os.mknod(bench.tree / "dev", stat.S_IFCHR | 0o600, os.makedev(259, 70000))
    bench.publish()
    assert bench.entry(b"/dev").rdev == os.makedev(259, 70000)
    assert bench.entry(b"/dev").flags == 20


def test_names_are_bytes_of_any_kind_and_length(bench):
    tree = os.fsencode(bench.tree)
    names = [b"\xff\xfe", b"n" * 255, b"new\nline", "ä€".encode(), b" ", b"a'b\"c\\"]
    for name in names:
        with open(tree + b"/" + name, "wb") as file:
            file.write(name)
    bench.publish()
    for name in names:
        assert bench.plain(b"/" + name) == name


def test_a_tree_may_be_deeper_than_the_recursion_limit(bench):
    """The limit is lowered, because pytest itself removes the tree by recursion."""
    depth = 400
    deepest = bench.tree.joinpath(*["d"] * depth)
    deepest.mkdir(parents=True)
    (deepest / "f").write_bytes(b"deep")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        bench.publish()
    finally:
        sys.setrecursionlimit(limit)
    assert len(bench.last.entries) == depth + 2
    assert bench.plain(b"/d" * depth + b"/f") == b"deep"


def test_a_second_publication_of_the_same_tree_reads_nothing_and_changes_nothing(bench):
    (bench.tree / "a").mkdir()
    (bench.tree / "a" / "f").write_bytes(b"1")
    (bench.tree / "l").symlink_to("a")
    os.link(bench.tree / "a" / "f", bench.tree / "a" / "g")
    assert bench.publish()
    assert bench.publish() == {}
    assert bench.read == []


@pytest.mark.parametrize("lag", [0, 500_000_000])
def test_a_file_that_changed_within_the_clocks_grain_is_read_though_its_times_are_the_same(bench, lag):
    path = bench.tree / "f"
    path.write_bytes(b"1")
    bench.clock.ns = path.stat().st_ctime_ns + lag  # published in the same moment, as clocks go
    bench.publish()
    times = path.stat()
    path.write_bytes(b"2")
    os.utime(path, ns=(times.st_mtime_ns, times.st_mtime_ns))
    assert bench.publish() == {b"/f": Verb.CHANGED}
    assert bench.plain(b"/f") == b"2"


def test_a_file_whose_directory_was_exchanged_is_read_though_it_is_old_enough(bench, tmp_path):
    for number in (1, 2):
        directory = tmp_path / f"d{number}"
        directory.mkdir()
        (directory / "f").write_bytes(b"%d" % number)
        os.utime(directory / "f", (1, 1))
        os.utime(directory, (1, 1))
    (tmp_path / "d1").rename(bench.tree / "d")
    bench.publish()
    (bench.tree / "d").rename(tmp_path / "gone")
    (tmp_path / "d2").rename(bench.tree / "d")
    os.utime(bench.tree, (1, 1))
    assert bench.publish()[b"/d/f"] is Verb.CHANGED
    assert bench.plain(b"/d/f") == b"2"


def test_a_touched_file_gets_a_new_entry_and_no_new_object(bench):
    path = bench.tree / "f"
    path.write_bytes(b"same")
    bench.publish()
    before = len(bench.store.objects)
    os.utime(path, (5, 5))
    assert bench.publish() == {b"/f": Verb.CHANGED}
    assert len(bench.store.objects) == before
    assert bench.entry(b"/f").mtime == 5


def test_a_file_that_is_written_again_with_the_same_bytes_and_times_is_no_change(bench):
    path = bench.tree / "f"
    path.write_bytes(b"same")
    os.utime(path, (5, 5))
    os.utime(bench.tree, (5, 5))
    bench.settled = Settled()
    bench.publish()
    bench.settled = Settled()  # nothing is taken on trust
    assert bench.publish() == {}
    assert bench.read == [4]


@pytest.mark.parametrize("size", [100, 60_000])
def test_a_touched_file_keeps_its_objects_though_we_would_store_it_otherwise_now(bench, size):
    path = bench.tree / "f"
    path.write_bytes(random.Random(3).randbytes(size // 2) + bytes(size // 2))
    bench.publish()
    before, entry = dict(bench.store.objects), bench.entry(b"/f")
    bench.encoder = Encoder(compression=Compression.NONE)
    bench.rules = EntryRules(compression=Compression.NONE)
    bench.sizes = ChunkSizes(8192, 16384, 32768)
    os.utime(path, (5, 5))
    bench.publish()
    assert bench.store.objects == before
    assert bench.entry(b"/f") == entry._replace(mtime=5, mtime_ns=0)
    data = bytearray(path.read_bytes())
    data[-1] = 1
    path.write_bytes(data)
    bench.settled = Settled()
    bench.publish()
    assert bench.plain(b"/f") == bytes(data)
    assert bench.entry(b"/f").compression is Compression.NONE


def test_a_file_whose_old_object_is_lost_is_stored_again(bench):
    path = bench.tree / "f"
    path.write_bytes(b"content")
    bench.publish()
    bench.store.objects.clear()
    bench.settled = Settled()
    bench.publish()
    assert bench.plain(b"/f") == b"content"


@pytest.mark.parametrize("new", ["dir", "file", "link", "fifo"])
@pytest.mark.parametrize("old", ["dir", "file", "link", "fifo"])
def test_types_change_into_one_another(bench, old, new):
    def make(kind, content):
        path = bench.tree / "x"
        if kind == "dir":
            path.mkdir()
            (path / "below").write_bytes(content)
        elif kind == "file":
            path.write_bytes(content)
        elif kind == "link":
            path.symlink_to(os.fsdecode(content))
        else:
            os.mkfifo(path)
        return path

    path = make(old, b"old")
    bench.publish()
    if old == "dir":
        (path / "below").unlink()
        path.rmdir()
    else:
        path.unlink()
    path = make(new, b"new")
    bench.publish()
    assert bench.entry(b"/x").mode == path.lstat().st_mode
    assert (b"/x/below" in bench.last.entries) == (new == "dir")
    if new == "dir":
        assert bench.plain(b"/x/below") == b"new"


def test_what_is_gone_from_the_tree_is_removed_with_all_below_it(bench):
    (bench.tree / "a" / "b").mkdir(parents=True)
    (bench.tree / "a" / "b" / "f").touch()
    bench.publish()
    (bench.tree / "a" / "b" / "f").unlink()
    (bench.tree / "a" / "b").rmdir()
    (bench.tree / "a").rmdir()
    changes = bench.scan()
    assert [change.path for change in changes if isinstance(change, Removed)] == [b"/a"]
    assert list(bench.last.apply(changes).entries) == [ROOT]


def test_hard_links_are_grouped_within_a_directory_only(bench):
    (bench.tree / "d").mkdir()
    (bench.tree / "a").write_bytes(b"linked")
    os.link(bench.tree / "a", bench.tree / "b")
    os.link(bench.tree / "a", bench.tree / "d" / "c")
    bench.publish()
    a, b, c = (bench.entry(path) for path in (b"/a", b"/b", b"/d/c"))
    assert a.hardlinks == b.hardlinks
    assert (a.hardlink_group != 0, a.linkcount) == (True, 2)
    assert (c.hardlink_group, c.linkcount) == (0, 1)
    assert bench.read == [6, 6, 6]
    assert len(bench.store.objects) == 1
    assert bench.scan_result.linked_elsewhere == [b"/a", b"/d/c"]


def test_a_hard_link_group_that_changes_changes_as_a_whole(bench):
    (bench.tree / "a").write_bytes(b"1")
    os.link(bench.tree / "a", bench.tree / "b")
    (bench.tree / "s").symlink_to("x")
    os.link(bench.tree / "s", bench.tree / "t", follow_symlinks=False)
    bench.publish()
    os.link(bench.tree / "a", bench.tree / "c")
    found = bench.publish()
    assert {path for path in found if path} == {b"/a", b"/b", b"/c"}
    assert {bench.entry(path).linkcount for path in (b"/a", b"/b", b"/c")} == {3}
    (bench.tree / "a").unlink()
    (bench.tree / "c").unlink()
    (bench.tree / "t").unlink()
    bench.publish()
    assert bench.entry(b"/b").hardlinks == bench.entry(b"/s").hardlinks == 1


def test_attributes_are_kept_but_for_those_that_do_not_fit(bench):
    path = bench.tree / "f"
    path.touch()
    try:
        os.setxattr(path, "user.short", b"value")
        os.setxattr(path, "user.long", b"x" * 256)
    except OSError:
        pytest.skip("the file system has no extended attributes")
    bench.publish()
    assert xattr.decode(bench.entry(b"/f").xattr_blob) == {b"user.short": b"value"}
    os.removexattr(path, "user.short")
    bench.settled = Settled()
    assert bench.publish() == {b"/f": Verb.CHANGED}
    assert bench.entry(b"/f").xattr_blob is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file capabilities")
def test_capabilities_are_kept(bench):
    path = bench.tree / "ping"
    path.touch()
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(path, "security.capability", capability)
    bench.publish()
    assert xattr.decode(bench.entry(b"/ping").xattr_blob) == {b"security.capability": capability}


def test_a_large_file_is_cut_and_unchanged_chunks_are_not_stored_again(bench):
    data = random.Random(1).randbytes(100_000)
    path = bench.tree / "big"
    path.write_bytes(data)
    bench.publish()
    entry = bench.entry(b"/big")
    assert (entry.digest, entry.flags) == (None, 68)
    assert len(bench.last.chunks(b"/big")) > 5
    assert bench.plain(b"/big") == data
    stored = set(bench.store.objects)
    path.write_bytes(b"inserted" + data)
    bench.publish()
    assert bench.plain(b"/big") == b"inserted" + data
    assert len(set(bench.store.objects) - stored) <= 2
    bench.settled = Settled()
    assert bench.publish() == {}  # read again, and found to be equal, chunk by chunk


def test_a_file_that_ends_with_one_chunk_is_a_plain_object(bench):
    (bench.tree / "f").write_bytes(bytes(5000))
    bench.publish()
    assert bench.entry(b"/f").content is not None
    assert not bench.entry(b"/f").is_chunked
    assert bench.plain(b"/f") == bytes(5000)


def test_without_chunking_a_large_file_is_one_object(tmp_path):
    bench = Bench(tmp_path)
    (bench.tree / "f").write_bytes(os.urandom(6 << 20))
    reader = FileReader(bench.store, bench.store, bench.encoder, None)
    stored = reader.store_file(os.fsencode(bench.tree / "f"), 6 << 20)
    assert stored.content.chunks == ()
    assert stored.content.digest in {name.digest for name in bench.store.objects}


@pytest.mark.parametrize("algorithm", list(Algorithm))
@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("compressor", list(Compressor))
def test_contents_are_stored_as_the_repository_says(tmp_path, algorithm, compression, compressor):
    bench = Bench(tmp_path, Encoder(algorithm, compression, compressor))
    (bench.tree / "f").write_bytes(b"a" * 1000)
    bench.publish()
    entry = bench.entry(b"/f")
    assert (entry.algorithm, entry.compression) == (algorithm, compression)
    assert bench.plain(b"/f") == b"a" * 1000


@pytest.mark.parametrize("compressor", list(Compressor))
def test_files_that_are_not_cut_are_stored_at_every_level(tmp_path, compressor):
    bench = Bench(tmp_path)
    (bench.tree / "f").write_bytes(b"a" * (5 << 20))
    stored = []
    for level in range(1, 13 if compressor is Compressor.LIBDEFLATE else 10):
        reader = FileReader(bench.store, bench.store, Encoder(compressor=compressor, level=level), None)
        digest = reader.store_file(os.fsencode(bench.tree / "f"), 5 << 20).content.digest
        out = BytesIO()
        bench.store.fetch(Want(ObjectId(Algorithm.SHA1, digest), Compression.ZLIB, 5 << 20), out)
        assert out.getvalue() == b"a" * (5 << 20)
        stored.append(digest)
    usual = compressor.usual_level
    assert stored[usual - 1] == hashlib.sha1(zlib.compress(b"a" * (5 << 20))).digest()


@pytest.mark.parametrize("compressor", list(Compressor))
def test_nothing_is_one_object_at_every_level(compressor):
    assert {Encoder(compressor=compressor, level=level).encode(b"") for level in range(1, 10)} == {codec.EMPTY}


def test_sparse_files_read_as_zeros(bench):
    with open(bench.tree / "sparse", "wb") as file:
        file.truncate(50_000)
    bench.publish()
    assert bench.plain(b"/sparse") == bytes(50_000)


def test_all_that_cannot_be_published_is_named_in_one_error(bench):
    (bench.tree / "a").mkdir()
    (bench.tree / ".cvmfs").mkdir()
    (bench.tree / ".cvmfscatalog").touch()
    (bench.tree / "a" / ".cvmfscatalog").mkdir()
    with pytest.raises(PublishError) as refusal:
        bench.publish()
    for path in ("/.cvmfs:", "/.cvmfscatalog:", "/a/.cvmfscatalog:"):
        assert path in str(refusal.value)
    assert "3 paths" in str(refusal.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_unreadable_files_and_directories_are_named(bench):
    (bench.tree / "f").write_bytes(b"1")
    (bench.tree / "f").chmod(0)
    (bench.tree / "d").mkdir(mode=0)
    with pytest.raises(PublishError) as refusal:
        bench.publish()
    (bench.tree / "d").chmod(0o700)
    assert "/f: Permission denied" in str(refusal.value)
    assert "/d: Permission denied" in str(refusal.value)


def test_a_file_that_vanishes_before_it_is_read_is_named(bench):
    (bench.tree / "f").write_bytes(b"1")
    faults = Faults()
    source = os.fsencode(bench.tree)
    places = bench.places(source, faults)
    scan = list(TreeDiff(source, bench.last, bench.rules, bench.settled, faults, places))
    (bench.tree / "f").unlink()
    staged = Staged(bench.staged_path, "test", bench.clock.nanoseconds)
    reader = FileReader(bench.store, bench.store, bench.encoder)
    with Ingest(os.fsencode(bench.tree), reader, bench.rules, bench.last, staged, faults, Silent(), 1) as ingest:
        assert [change.path for change in ingest.complete(scan)] == [ROOT]
    staged.close()
    with pytest.raises(PublishError, match="/f: No such file"):
        faults.raise_any()


def test_a_file_that_is_written_to_while_it_is_read_is_read_again(bench):
    """The encoder is where the race is lost: it appends to the file that it has been given."""
    path = bench.tree / "f"
    path.write_bytes(b"1")
    reader = FileReader(bench.store, bench.store, bench.encoder, ChunkSizes(64, 64, 64))
    source = os.fsencode(path)
    path.write_bytes(b"x" * 300)
    appended = threading.Event()

    def submit(function):
        from concurrent.futures import Future

        if not appended.is_set():
            appended.set()
            with path.open("ab") as file:
                file.write(b"y" * 10)
        future = Future()
        future.set_result(function())
        return future

    stored = reader.store_file(source, 300, submit=submit)
    assert stored.status.st_size == 310
    assert sum(chunk.size for chunk in stored.content.chunks) == 310


def test_a_file_that_never_rests_is_an_error(bench):
    from swrepo.publish.source_file import UnstableFileError

    path = bench.tree / "log"
    path.write_bytes(b"x" * 300)
    reader = FileReader(bench.store, bench.store, bench.encoder, ChunkSizes(64, 64, 64))

    def submit(function):
        from concurrent.futures import Future

        with path.open("ab") as file:
            file.write(b"y")
        future = Future()
        future.set_result(function())
        return future

    with pytest.raises(UnstableFileError, match="changed while it was read, 3 times"):
        reader.store_file(os.fsencode(path), 300, submit=submit)


def test_what_was_staged_is_not_read_again(bench):
    (bench.tree / "f").write_bytes(b"1")
    (bench.tree / "big").write_bytes(os.urandom(50_000))
    staged = bench.scan()
    objects = dict(bench.store.objects)
    bench.store.put = None  # nothing may be stored again
    found = bench.scan()
    puts = {change.path: change for change in found if isinstance(change, Put)}
    assert set(puts) == {b"/f", b"/big", ROOT}
    assert len(staged) == len(found)
    assert bench.store.objects == objects


def test_a_staged_content_whose_object_is_gone_is_read_again(bench):
    (bench.tree / "f").write_bytes(b"1")
    bench.scan()
    bench.store.objects.clear()
    bench.publish()
    assert bench.plain(b"/f") == b"1"


def test_a_damaged_table_of_staged_contents_is_thrown_away(bench):
    (bench.tree / "f").write_bytes(b"1")
    bench.staged_path.write_bytes(b"no database" * 500)
    bench.publish()
    bench.publish()
    assert bench.plain(b"/f") == b"1"


def test_the_record_of_a_scan_survives_on_disk_for_its_own_revision_and_tree_only(tmp_path):
    path, tree = tmp_path / "scan", tmp_path / "tree"
    tree.mkdir()
    (tree / "d").mkdir()
    root = ObjectId.of(b"root")
    seen = {}
    mark = (1 << 64) - 1
    settled.note(seen, b"/d", (tree / "d").stat(), mark)
    settled.save(path, Settled(12345, seen), root, tree, "rules")
    again = settled.load(path, root, tree, "rules")
    assert again == Settled(12345, seen)
    assert again.knows(b"/d", (tree / "d").stat())
    assert again.is_as_before(b"/d", (tree / "d").stat(), mark)
    other = settled.load(path, root, tree, "other rules")
    assert other.knows(b"/d", (tree / "d").stat())
    assert not other.is_as_before(b"/d", (tree / "d").stat(), mark)
    assert settled.load(path, ObjectId.of(b"other"), tree, "rules") == Settled()
    assert settled.load(path, root, tmp_path, "rules") == Settled()
    assert settled.load(tmp_path / "missing", root, tree, "rules") == Settled()
    for cut in (0, 10, len(path.read_bytes()) - 3):
        (tmp_path / "cut").write_bytes(path.read_bytes()[:cut])
        assert settled.load(tmp_path / "cut", root, tree, "rules") == Settled()


def test_directories_in_which_nothing_was_touched_are_passed_over_without_their_rows(bench):
    for name in ("still", "changed"):
        (bench.tree / name / "below").mkdir(parents=True)
        (bench.tree / name / "file").write_bytes(b"1")
        (bench.tree / name / "below" / "file").write_bytes(b"1")
    bench.publish()
    (bench.tree / "changed" / "file").write_bytes(b"22")
    bench.last = watched = Watched(bench.last.entries)
    assert bench.publish() == {b"/changed/file": "changed"}
    assert watched.listed == [b"", b"/changed"]
    assert bench.scan_result.entries == 8


def test_what_was_touched_while_it_was_published_is_looked_at_again(bench):
    (bench.tree / "d").mkdir()
    (bench.tree / "d" / "file").write_bytes(b"1")
    bench.clock.ns = (bench.tree / "d" / "file").stat().st_ctime_ns
    bench.publish()
    bench.last = watched = Watched(bench.last.entries)
    assert bench.publish() == {}
    assert watched.listed == [b"", b"/d"]


def test_a_directory_that_was_moved_away_and_came_back_is_new(bench):
    (bench.tree / "d" / "e").mkdir(parents=True)
    (bench.tree / "d" / "e" / "file").write_bytes(b"1")
    bench.publish()
    known = bench.settled
    (bench.tree / "d").rename(bench.tree.parent / "d")
    bench.publish()
    (bench.tree.parent / "d").rename(bench.tree / "d")
    bench.settled = known
    assert set(bench.publish()) == {b"", b"/d", b"/d/e", b"/d/e/file"}
