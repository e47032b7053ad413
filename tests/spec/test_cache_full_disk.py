"""A full disk: what is read is read all the same, with one warning, and kept again as soon as there is room."""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swrepo.cache.anchored import AnchoredDirectory
from swrepo.cache.directory import CacheDirectory
from swrepo.cache.disk import DiskCache
from swrepo.cache.passing import PAUSE
from swrepo.cache.quota import Quota
from swrepo.errors import CorruptObject
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.object_id import Kind
from swrepo.objects.store import Want
from tests.conftest import ExpectedWarnings
from tests.simulator import RepositorySimulator, flipped
from tests.spec.test_cache_disk import LARGE, PLAIN, content, fetches, files, put

GOES_ON = "reading goes on without keeping"


class FullDirectory(AnchoredDirectory):
    """Every write fails with ENOSPC while it `is_full`; /dev/full sees to that."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.is_full: Callable[[], bool] = lambda: True

    def create(self) -> tuple[int, str]:
        descriptor, name = super().create()
        if self.is_full():
            os.close(descriptor)
            descriptor = os.open("/dev/full", os.O_RDWR)
        return descriptor, name


@pytest.fixture
def repository() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class Disk:
    """A cache on a disk that is full until it is told otherwise, and its clock."""

    def __init__(self, root: Path, repository: RepositorySimulator, quota: Quota | None = None) -> None:
        self.now = 100.0
        self.is_full: Callable[[], bool] = lambda: True

        def enter(path: Path) -> CacheDirectory:
            directory = FullDirectory(path)
            directory.is_full = lambda: self.is_full()  # noqa: PLW0108 - which changes
            return directory

        self.cache = DiskCache(root, repository, enter, quota=quota, clock=lambda: self.now)


@pytest.fixture
def disk(root: Path, repository: RepositorySimulator) -> Iterator[Disk]:
    found = Disk(root, repository)
    yield found
    found.cache.close()


@pytest.mark.parametrize("plain", [PLAIN, LARGE], ids=["small", "large"])
def test_the_reader_gets_the_bytes_and_nothing_is_left(
    root: Path, disk: Disk, repository: RepositorySimulator, plain: bytes, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings(GOES_ON)
    assert content(disk.cache, put(repository, plain)) == plain
    assert files(root) == []
    assert disk.cache.counters.unkept == 1


def test_who_reads_all_of_it_gets_it_from_one_fetch(
    root: Path, disk: Disk, repository: RepositorySimulator, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings(GOES_ON)
    want = put(repository)
    assert disk.cache.read_whole(want) == PLAIN
    assert files(root) == []
    assert fetches(repository, want) == 1
    assert disk.cache.counters.unkept == 1
    assert disk.cache.read_whole(want) == PLAIN


def test_an_object_of_unknown_size_too(
    disk: Disk, repository: RepositorySimulator, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings(GOES_ON)
    assert content(disk.cache, Want(put(repository, kind=Kind.CATALOG).id)) == PLAIN


def test_there_is_one_warning_and_one_word_when_it_is_over(
    root: Path, disk: Disk, repository: RepositorySimulator, caplog: pytest.LogCaptureFixture,
    expected_warnings: ExpectedWarnings,
) -> None:  # fmt: skip
    expected_warnings(GOES_ON)
    caplog.set_level("INFO", "swrepo.cache.passing")
    wants = [put(repository, PLAIN + bytes([number])) for number in range(5)]
    for want in wants:
        content(disk.cache, want)
        disk.now += PAUSE
    assert len(caplog.records) == 1
    disk.is_full = lambda: False
    assert content(disk.cache, wants[0]) == PLAIN + b"\0"
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert files(root) == [wants[0].id.cache_path]


def test_the_disk_is_left_alone_for_a_while(
    root: Path, disk: Disk, repository: RepositorySimulator, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings(GOES_ON)
    want = put(repository, LARGE)
    content(disk.cache, want)
    tried = fetches(repository, want)
    disk.is_full = lambda: False
    content(disk.cache, want)
    assert fetches(repository, want) == tried + 1
    assert files(root) == []
    disk.now += PAUSE
    content(disk.cache, want)
    assert files(root) == [want.id.cache_path]


def test_what_does_not_match_is_refused_all_the_same(
    disk: Disk, repository: RepositorySimulator, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings(GOES_ON)
    content(disk.cache, put(repository))
    other = put(repository, LARGE)
    repository.lies[other.id.path] = lambda data: flipped(data, 8 * (len(data) // 2))
    with pytest.raises(CorruptObject):
        disk.cache.open(other)


def test_each_reader_has_its_own_position_and_cannot_write(
    disk: Disk, repository: RepositorySimulator, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings(GOES_ON)
    descriptor = disk.cache.open(put(repository))
    assert os.read(descriptor, 10) == PLAIN[:10]
    with pytest.raises(OSError):
        os.write(descriptor, b"x")
    os.close(descriptor)


def test_no_descriptor_stays_open(
    disk: Disk, repository: RepositorySimulator, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings(GOES_ON)
    want = put(repository)
    content(disk.cache, want)
    gc.collect()  # what other tests left open must not close meanwhile
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        content(disk.cache, want)
    assert len(os.listdir("/proc/self/fd")) == before


def test_others_are_evicted_first(root: Path, repository: RepositorySimulator) -> None:
    disk = Disk(root, repository, Quota(root, 1 << 30, start=lambda work: work()))
    disk.is_full = lambda: False
    for number in range(4):
        content(disk.cache, put(repository, PLAIN + bytes([number])))
    disk.is_full = lambda: len(files(root)) > 3
    want = put(repository, LARGE)
    assert content(disk.cache, want) == LARGE
    assert want.id.cache_path in files(root)
    assert len(files(root)) == 3
    disk.cache.close()


def test_the_last_manifest_cannot_be_noted_but_reading_goes_on(
    disk: Disk, repository: RepositorySimulator, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings(GOES_ON)
    disk.cache.write_breadcrumb("a.example.org", Breadcrumb(put(repository).id, 1, 1))
    assert disk.cache.read_breadcrumb("a.example.org") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_on_a_file_system_of_one_megabyte_everything_can_be_read(
    tmp_path: Path, repository: RepositorySimulator, expected_warnings: ExpectedWarnings
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", str(small)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.decode().strip()}")
    expected_warnings(GOES_ON)
    try:
        cache = DiskCache(small / "cache", repository)
        assert content(cache, put(repository)) == PLAIN
        assert len(content(cache, put(repository, os.urandom(3 << 20)))) == 3 << 20
        for _ in range(6):
            assert len(content(cache, put(repository, os.urandom(300_000)))) == 300_000
        assert not [name for name in files(small / "cache") if name.startswith("txn")]
        cache.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)
