"""The client's disk cache: holds only what was verified, whatever dies, fills up, vanishes or is planted in it."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from swrepo.cache.anchored import AnchoredDirectory
from swrepo.cache.disk import DiskCache
from swrepo.cache.named import NamedDirectory
from swrepo.errors import CorruptObject, PermissionRefused, TruncatedObject, Unreachable, UsageError
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.objects.store import Want
from tests.conftest import ExpectedWarnings
from tests.simulator import RepositorySimulator, flipped

PLAIN = bytes(range(256)) * 40
LARGE = bytes(range(256)) * 20_000
"""More than what passes through memory."""

OWN = {"swrepo.usage", "swrepo.cleanup", "swrepo.boots", "swrepo.writers"}


@pytest.fixture(scope="module")
def shared() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture
def repository() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(params=[AnchoredDirectory, NamedDirectory])
def cache(root: Path, repository: RepositorySimulator, request: pytest.FixtureRequest) -> Iterator[DiskCache]:
    """Every way of keeping a directory; tests/interop/test_foreign_systems.py has what is particular to Windows."""
    found = DiskCache(root, repository, request.param)
    yield found
    found.close()


def content(cache: DiskCache, want: Want) -> bytes:
    with os.fdopen(cache.open(want), "rb") as file:
        return file.read()


def put(repository: RepositorySimulator, plain: bytes = PLAIN, **how: object) -> Want:
    return Want(repository.put(plain, **how), size=len(plain))


def fetches(repository: RepositorySimulator, want: Want) -> int:
    return repository.requests.count(want.id.path)


def files(root: Path) -> list[str]:
    """Every file in the cache, `txn` included but no lock and nothing of the cache's own, relative to it."""
    found = [path for path in root.rglob("*") if not path.is_dir() or path.is_symlink()]
    return sorted(str(path.relative_to(root)) for path in found if path.name != "lock" and path.name not in OWN)


@pytest.mark.parametrize("plain", [b"", PLAIN, LARGE], ids=["empty", "small", "large"])
def test_an_object_is_fetched_once(cache: DiskCache, repository: RepositorySimulator, plain: bytes) -> None:
    want = put(repository, plain)
    assert cache.open_if_here(want) is None
    assert [content(cache, want) for _ in range(3)] == [plain] * 3
    assert fetches(repository, want) == 1
    counters = cache.counters
    assert (counters.hits, counters.fetched, counters.failed, counters.fetched_bytes) == (2, 1, 0, len(plain))


@pytest.mark.parametrize("plain", [b"", PLAIN, LARGE], ids=["empty", "small", "large"])
def test_an_object_is_read_whole_and_then_it_is_here(
    root: Path, cache: DiskCache, repository: RepositorySimulator, plain: bytes
) -> None:
    want = put(repository, plain)
    assert [cache.read_whole(want) for _ in range(3)] == [plain] * 3
    assert content(cache, want) == (root / want.id.cache_path).read_bytes() == plain
    assert fetches(repository, want) == 1
    counters = cache.counters
    assert (counters.hits, counters.fetched, counters.failed, counters.unkept) == (3, 1, 0, 0)


def test_who_reads_what_another_fetches_gets_the_same_bytes(cache: DiskCache, repository: RepositorySimulator) -> None:
    want = put(repository)
    together = threading.Barrier(16, timeout=60)

    def read(number: int) -> bytes:
        together.wait()
        return cache.read_whole(want) if number % 2 else content(cache, want)

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(read, range(16))) == {PLAIN}
    assert fetches(repository, want) == 1


def test_what_does_not_match_is_not_read_whole(root: Path, cache: DiskCache, repository: RepositorySimulator) -> None:
    want = put(repository)
    repository.lies[want.id.path] = lambda data: flipped(data, 8 * (len(data) // 2))
    with pytest.raises(CorruptObject):
        cache.read_whole(want)
    assert files(root) == []
    assert cache.counters.failed == 1


def test_another_process_finds_it(root: Path, cache: DiskCache, repository: RepositorySimulator) -> None:
    want = put(repository)
    content(cache, want)
    descriptor = DiskCache(root, RepositorySimulator()).open_if_here(want)
    assert descriptor is not None
    with os.fdopen(descriptor, "rb") as file:
        assert file.read() == PLAIN


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("kind", [Kind.FILE, Kind.CATALOG, Kind.PARTIAL])
def test_the_layout_is_that_of_the_original(root: Path, algorithm: Algorithm, kind: Kind) -> None:
    repository = RepositorySimulator(algorithm=algorithm)
    want = put(repository, kind=kind)
    cache = DiskCache(root, repository)
    content(cache, want)
    cache.close()
    text = want.id.text
    assert files(root) == [f"{text[:2]}/{text[2:]}"]
    assert (root / text[:2] / text[2:]).read_bytes() == PLAIN


def test_it_belongs_to_its_user_alone(root: Path, cache: DiskCache, repository: RepositorySimulator) -> None:
    content(cache, put(repository))
    cache.write_breadcrumb("a.example.org", Breadcrumb(put(repository).id, 1, 1))
    for path in (root, *root.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_a_descriptor_is_read_only_and_each_caller_has_its_own(
    cache: DiskCache, repository: RepositorySimulator
) -> None:
    want = put(repository)
    first, second = cache.open(want), cache.open(want)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.write(first, b"x")
    os.read(first, 10)
    assert os.read(second, 10) == PLAIN[:10]
    os.close(first)
    assert os.read(second, 10) == PLAIN[10:20]
    os.close(second)


@pytest.mark.parametrize("plain", [PLAIN, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("bit", [0, 77])
def test_nothing_is_kept_of_an_object_that_does_not_match(
    root: Path, cache: DiskCache, repository: RepositorySimulator, plain: bytes, bit: int
) -> None:
    want = put(repository, plain)
    repository.lies[want.id.path] = lambda data: flipped(data, 8 * (len(data) // 2) + bit)
    with pytest.raises(CorruptObject):
        cache.open(want)
    assert files(root) == []
    assert cache.counters.failed == 1
    del repository.lies[want.id.path]
    assert content(cache, want) == plain


class Careless:
    """A source that breaks its promise: it writes too little and raises nothing."""

    def fetch(self, want: Want, out: BinaryIO) -> None:
        assert want.size
        out.write(bytes(want.size - 1))


@pytest.mark.parametrize("size", [100, 2 << 20])
def test_even_a_careless_source_cannot_leave_a_short_file(root: Path, size: int) -> None:
    cache = DiskCache(root, Careless())
    with pytest.raises(TruncatedObject):
        cache.open(Want(ObjectId.of(b"whatever"), size=size))
    assert files(root) == []


def test_an_error_of_the_source_is_the_error_of_the_cache(cache: DiskCache, repository: RepositorySimulator) -> None:
    want = put(repository)

    def unreachable(data: bytes) -> bytes:
        raise Unreachable("no route", ("the first try",))

    repository.lies[want.id.path] = unreachable
    with pytest.raises(Unreachable, match="the first try"):
        cache.open(want)


@pytest.mark.parametrize("left", [0, 1, len(PLAIN) - 1, len(PLAIN) + 1])
def test_a_file_of_the_wrong_size_is_fetched_again(
    root: Path, cache: DiskCache, repository: RepositorySimulator, left: int
) -> None:
    want = put(repository)
    content(cache, want)
    os.truncate(root / want.id.cache_path, left)
    assert cache.open_if_here(want) is None
    assert content(cache, want) == PLAIN
    assert fetches(repository, want) == 2


def test_an_emptied_file_is_fetched_again_where_the_size_is_not_known(
    root: Path, cache: DiskCache, repository: RepositorySimulator
) -> None:
    want = Want(put(repository, kind=Kind.CERTIFICATE).id)
    content(cache, want)
    os.truncate(root / want.id.cache_path, 0)
    assert content(cache, want) == PLAIN


def test_one_that_is_open_keeps_its_bytes_when_it_is_replaced(
    root: Path, cache: DiskCache, repository: RepositorySimulator
) -> None:
    want = put(repository)
    descriptor = cache.open(want)
    (root / want.id.cache_path).unlink()
    content(cache, want)
    assert os.pread(descriptor, len(PLAIN), 0) == PLAIN
    os.close(descriptor)


@pytest.mark.parametrize("plain", [PLAIN, LARGE], ids=["small", "large"])
def test_many_threads_that_want_the_same_cause_one_fetch(
    cache: DiskCache, repository: RepositorySimulator, plain: bytes
) -> None:
    want = put(repository, plain)
    together = threading.Barrier(16, timeout=60)

    def read(_: int) -> bytes:
        together.wait()
        return content(cache, want)

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(read, range(16))) == {plain}
    assert fetches(repository, want) == 1


def test_different_objects_are_fetched_at_the_same_time(cache: DiskCache, repository: RepositorySimulator) -> None:
    wants = [put(repository, PLAIN + bytes([number])) for number in range(8)]
    all_here = threading.Barrier(8, timeout=60)
    repository.on_request = lambda _path: all_here.wait()
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda want: len(content(cache, want)), wants)) == [len(PLAIN) + 1] * 8


def test_the_directory_may_be_removed_at_any_time(
    root: Path, cache: DiskCache, repository: RepositorySimulator
) -> None:
    want, other = put(repository), put(repository, LARGE)
    content(cache, want)
    shutil.rmtree(root)
    assert cache.open_if_here(want) is None
    assert content(cache, want) == PLAIN
    repository.on_request = lambda _path: shutil.rmtree(root, ignore_errors=True)
    repository.requests.clear()

    def once(path: str) -> None:
        if repository.requests.count(path) == 1:
            shutil.rmtree(root)

    repository.on_request = once
    assert content(cache, other) == LARGE
    assert (root / other.id.cache_path).stat().st_size == len(LARGE)


def test_a_directory_that_comes_back_is_used(root: Path, cache: DiskCache, repository: RepositorySimulator) -> None:
    want = put(repository)
    content(cache, want)
    shutil.rmtree(root)
    content(DiskCache(root, repository), want)
    assert content(cache, want) == PLAIN
    assert content(cache, want) == PLAIN
    assert fetches(repository, want) == 2


class TestPlantedThings:
    """Somebody put something else where the cache keeps its files."""

    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        found = tmp_path / "outside"
        found.mkdir()
        (found / "victim").write_bytes(bytes(len(PLAIN)))
        return found

    @pytest.mark.parametrize("plain", [PLAIN, LARGE], ids=["small", "large"])
    def test_a_link_in_place_of_an_object_is_replaced(
        self, root: Path, cache: DiskCache, repository: RepositorySimulator, outside: Path, plain: bytes
    ) -> None:
        want = put(repository, plain)
        victim = outside / "victim"
        victim.write_bytes(bytes(len(plain)))
        (root / want.id.cache_path).parent.mkdir()
        (root / want.id.cache_path).symlink_to(victim)
        assert content(cache, want) == plain
        assert not (root / want.id.cache_path).is_symlink()
        assert victim.read_bytes() == bytes(len(plain))

    @pytest.mark.parametrize("directory", ["prefix", "txn"])
    def test_a_link_in_place_of_a_directory_is_replaced(
        self, root: Path, cache: DiskCache, repository: RepositorySimulator, outside: Path, directory: str
    ) -> None:
        want = put(repository)
        prefix, name = want.id.cache_path.split("/")
        planted = root / (prefix if directory == "prefix" else "txn")
        planted.symlink_to(outside)
        (outside / name).write_bytes(bytes(len(PLAIN)))
        assert content(cache, want) == PLAIN
        assert planted.is_dir()
        assert not planted.is_symlink()
        assert sorted(os.listdir(outside)) == sorted(["victim", name])
        assert (outside / name).read_bytes() == bytes(len(PLAIN))

    def test_a_link_in_place_of_the_breadcrumb_is_not_followed(
        self, root: Path, cache: DiskCache, repository: RepositorySimulator, outside: Path
    ) -> None:
        crumb = Breadcrumb(put(repository).id.with_kind(Kind.CATALOG), 5, 6)
        (outside / "crumb").write_text(crumb.text)
        (root / "cvmfschecksum.a.example.org").symlink_to(outside / "crumb")
        assert cache.read_breadcrumb("a.example.org") is None
        newer = Breadcrumb(crumb.root_catalog, 7, 8)
        cache.write_breadcrumb("a.example.org", newer)
        assert cache.read_breadcrumb("a.example.org") == newer
        assert (outside / "crumb").read_text() == crumb.text

    def test_a_fifo_does_not_block_and_is_replaced(
        self, root: Path, cache: DiskCache, repository: RepositorySimulator
    ) -> None:
        want = put(repository)
        (root / want.id.cache_path).parent.mkdir()
        os.mkfifo(root / want.id.cache_path)
        assert content(cache, want) == PLAIN

    def test_a_directory_in_place_of_an_object_is_a_warning_that_names_the_cache(
        self, root: Path, cache: DiskCache, repository: RepositorySimulator, expected_warnings: ExpectedWarnings
    ) -> None:
        expected_warnings(f"the cache {root} cannot be used")
        want = put(repository)
        (root / want.id.cache_path / "something").mkdir(parents=True)
        assert content(cache, want) == PLAIN

    def test_a_cache_that_everybody_can_write_to_is_refused(self, root: Path) -> None:
        root.mkdir()
        root.chmod(0o777)
        with pytest.raises(PermissionRefused, match="chmod o-w"):
            DiskCache(root, Careless())

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
    def test_a_cache_of_somebody_else_is_refused(self, root: Path) -> None:
        root.mkdir()
        os.chown(root, 12345, -1)
        with pytest.raises(PermissionRefused, match="12345"):
            DiskCache(root, Careless())

    def test_a_file_in_place_of_the_cache_is_an_error_that_names_it(self, root: Path) -> None:
        root.write_bytes(b"")
        with pytest.raises(Exception, match=r"cache.*cannot be used.*File exists"):
            DiskCache(root, Careless())


class TestBreadcrumbs:
    def test_the_last_one_is_remembered(self, root: Path, cache: DiskCache, repository: RepositorySimulator) -> None:
        assert cache.read_breadcrumb("a.example.org") is None
        for revision in (3, 4):
            crumb = Breadcrumb(repository.manifest.root_catalog, 1_700_000_000 + revision, revision)
            cache.write_breadcrumb("a.example.org", crumb)
        assert cache.read_breadcrumb("a.example.org") == crumb
        assert cache.read_breadcrumb("b.example.org") is None
        assert (root / "cvmfschecksum.a.example.org").read_text() == crumb.text

    @pytest.mark.parametrize("damaged", [b"", b"x", b"\xff\xfe", b"T1R2", bytes(5000)])
    def test_a_damaged_one_is_none(self, root: Path, cache: DiskCache, damaged: bytes) -> None:
        (root / "cvmfschecksum.a.example.org").write_bytes(damaged)
        assert cache.read_breadcrumb("a.example.org") is None

    @pytest.mark.parametrize("name", ["", "..", "a/b", "../a", "a\0b"])
    def test_only_a_repository_has_one(self, cache: DiskCache, name: str) -> None:
        with pytest.raises(UsageError):
            cache.read_breadcrumb(name)


class TestUnfinishedFiles:
    @pytest.fixture
    def unfinished(self, repository: RepositorySimulator) -> Callable[[Path], tuple[threading.Event, threading.Thread]]:
        """Starts a fetch of a large object into a cache and stops it half-way until the event is set."""

        def start(root: Path) -> tuple[threading.Event, threading.Thread]:
            half_way, go_on = threading.Event(), threading.Event()

            class Slow:
                def fetch(self, want: Want, out: BinaryIO) -> None:
                    out.write(bytes(3 << 20))
                    half_way.set()
                    assert go_on.wait(60)
                    out.seek(0)
                    out.truncate()
                    repository.fetch(want, out)

            cache = DiskCache(root, Slow())
            thread = threading.Thread(target=lambda: content(cache, put(repository, LARGE)))
            thread.start()
            assert half_way.wait(60)
            return go_on, thread

        return start

    def test_those_of_a_living_process_are_left_alone(
        self,
        root: Path,
        repository: RepositorySimulator,
        unfinished: Callable[[Path], tuple[threading.Event, threading.Thread]],
    ) -> None:
        go_on, thread = unfinished(root)
        assert len(files(root)) == 1
        other = DiskCache(root, repository)
        content(other, put(repository))
        other.close()
        assert len(files(root)) == 2
        go_on.set()
        thread.join()
        assert not [name for name in files(root) if name.startswith("txn")]

    def test_those_of_a_dead_process_are_removed_by_the_next(self, root: Path, repository: RepositorySimulator) -> None:
        child = os.fork()
        if not child:

            class Dying:
                def fetch(self, want: Want, out: BinaryIO) -> None:
                    out.write(bytes(3 << 20))
                    os.kill(os.getpid(), signal.SIGKILL)

            DiskCache(root, Dying()).open(put(repository, LARGE))
        os.waitpid(child, 0)
        assert len(files(root)) == 1
        assert files(root)[0].startswith("txn/")
        cache = DiskCache(root, repository)
        content(cache, put(repository))
        assert files(root) == [put(repository).id.cache_path]
        cache.close()

    def test_files_of_others_in_txn_are_not_touched(self, root: Path, repository: RepositorySimulator) -> None:
        (root / "txn" / "directory").mkdir(parents=True)
        (root / "txn" / "fetchAbCdEf").write_bytes(b"x")
        root.chmod(0o700)
        cache = DiskCache(root, repository)
        content(cache, put(repository))
        cache.close()
        assert (root / "txn" / "fetchAbCdEf").exists()
        assert (root / "txn" / "directory").exists()

    def test_a_fork_can_go_on_with_the_cache(
        self, root: Path, cache: DiskCache, repository: RepositorySimulator
    ) -> None:
        content(cache, put(repository))
        other = put(repository, LARGE)
        child = os.fork()
        if not child:
            code = 1
            try:
                code = 0 if content(cache, other) == LARGE else 2
                cache.close()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        third = put(repository, PLAIN * 2)
        assert content(cache, third) == PLAIN * 2
        assert fetches(repository, other) == 0, "the child's requests are not ours"
        assert content(cache, other) == LARGE
        assert fetches(repository, other) == 0


FILLER = """
import sys
from pathlib import Path
from swrepo.cache.disk import DiskCache
from swrepo.format.compression import Compression
from swrepo.format.object_id import ObjectId
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import Want
import os, random

cache = DiskCache(Path(sys.argv[1]), DirectoryObjects(Path(sys.argv[2])))
lines = [line.split() for line in open(sys.argv[3])]
random.Random(int(sys.argv[4])).shuffle(lines)
print("started", flush=True)
for name, size in lines:
    os.close(cache.open(Want(ObjectId.parse(name), size=int(size))))
    print(name, flush=True)
cache.close()
"""


class TestSeveralProcesses:
    """Real processes fill one cache from one directory."""

    COUNT = 60

    @pytest.fixture
    def wants(self, shared: RepositorySimulator, tmp_path: Path) -> dict[Want, bytes]:
        chance = random.Random(7)
        plains = [chance.randbytes(chance.choice([0, 10, 5000, 70_000, 1_500_000])) for _ in range(self.COUNT)]
        wants = {put(shared, plain): plain for plain in plains}
        shared.save(tmp_path / "srv")
        (tmp_path / "list").write_text("".join(f"{want.id.text} {want.size}\n" for want in wants))
        return wants

    def start(self, tmp_path: Path, root: Path, seed: int) -> subprocess.Popen[str]:
        served = next((tmp_path / "srv").iterdir())
        arguments = [sys.executable, "-c", FILLER, str(root), str(served), str(tmp_path / "list"), str(seed)]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)

    def check(self, root: Path, wants: dict[Want, bytes]) -> int:
        """Whatever has an object's name has its bytes. How many there are."""
        here = 0
        for want, plain in wants.items():
            path = root / want.id.cache_path
            if path.exists():
                here += 1
                assert path.read_bytes() == plain
        return here

    def test_a_process_that_is_killed_at_any_moment_leaves_only_whole_objects(
        self, tmp_path: Path, root: Path, wants: dict[Want, bytes], shared: RepositorySimulator
    ) -> None:
        seen = []
        for round_number, kill_after in enumerate([0, 1, 2, 5, 9, 17, 30, 45]):
            with self.start(tmp_path, root, round_number) as process:
                assert process.stdout is not None
                for _ in range(1 + kill_after):
                    process.stdout.readline()
                process.kill()
            seen.append(self.check(root, wants))
        assert seen[-1] >= 45
        cache = DiskCache(root, shared)
        for want, plain in wants.items():
            assert content(cache, want) == plain
        cache.close()
        assert len(files(root)) == len(wants), "nothing of the killed ones is left"

    def test_two_that_fill_it_at_once_do_not_disturb_each_other(
        self, tmp_path: Path, root: Path, wants: dict[Want, bytes]
    ) -> None:
        processes = [self.start(tmp_path, root, seed) for seed in (1, 1, 2)]
        for process in processes:
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0
            assert len(output.splitlines()) == 1 + len(wants)
        assert self.check(root, wants) == len(wants)
        assert len(files(root)) == len(wants)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_is_not_writable_says_so(
    root: Path, repository: RepositorySimulator, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings("cannot write to the cache")
    want = put(repository)
    content(DiskCache(root, repository), want)
    for path in (root, *root.rglob("*")):
        if path.is_dir():
            path.chmod(0o500)
    cache = DiskCache(root, repository)
    assert content(cache, want) == PLAIN
    assert content(cache, put(repository, LARGE)) == LARGE


def test_objects_without_compression_are_kept_as_they_are(cache: DiskCache, repository: RepositorySimulator) -> None:
    object_id = repository.put(PLAIN, compression=Compression.NONE)
    assert content(cache, Want(object_id, Compression.NONE, len(PLAIN))) == PLAIN
