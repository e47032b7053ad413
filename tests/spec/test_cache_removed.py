"""A cache that is taken away while it is written to, or that cannot be written to any more: reading goes on."""

from __future__ import annotations

import errno
import gc
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from swrepo.cache.anchored import AnchoredDirectory
from swrepo.cache.directory import enter
from swrepo.cache.disk import DiskCache
from swrepo.cache.passing import PAUSE
from swrepo.cache.places import Places, Refused
from swrepo.errors import NoConnection, PermissionRefused, TimedOut
from swrepo.objects.store import Want
from tests.conftest import ExpectedWarnings
from tests.simulator import RepositorySimulator
from tests.spec.test_cache_disk import LARGE, PLAIN, content, fetches, files, put

GOES_ON = "reading goes on without keeping"
both_sizes = pytest.mark.parametrize("plain", [PLAIN, LARGE], ids=["small", "large"])


@pytest.fixture
def repository() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class Watched(AnchoredDirectory):
    """Something happens to the cache before a step."""

    happens: Callable[[str], object]

    def create(self) -> tuple[int, str]:
        self.happens("create")
        return super().create()

    def commit(self, unfinished: str, directory: str, name: str) -> None:
        self.happens("commit")
        super().commit(unfinished, directory, name)


def watched(root: Path, repository: RepositorySimulator, happens: Callable[[str], object], **more) -> DiskCache:
    def enter(path: Path) -> Watched:
        found = Watched(path)
        found.happens = happens
        return found

    return DiskCache(root, repository, enter, **more)


@both_sizes
@pytest.mark.parametrize("step", ["create", "commit"])
@pytest.mark.parametrize("times", [1, 2, 1000])
def test_it_may_be_removed_before_every_step(
    root: Path, repository: RepositorySimulator, plain: bytes, step: str, times: int
) -> None:
    left = times

    def remove(before: str) -> None:
        nonlocal left
        if before == step and left:
            left -= 1
            shutil.rmtree(root)

    cache = watched(root, repository, remove)
    wants = [put(repository, bytes([number]) + plain) for number in range(3)]
    assert [content(cache, want) for want in wants] == [bytes([number]) + plain for number in range(3)]
    left = 0
    assert [content(cache, want)[1:] for want in wants] == [plain] * 3
    assert all((root / want.id.cache_path).exists() for want in wants), "it is used again, without a pause"
    cache.close()


@both_sizes
def test_a_part_of_it_may_be_removed_before_every_step(
    root: Path, repository: RepositorySimulator, plain: bytes
) -> None:
    want = put(repository, plain)
    parts = iter([root / "txn", root / want.id.cache_path[:2], root / "txn"])

    def remove(before: str) -> None:
        if before == "commit" and (part := next(parts, None)) is not None:
            (root / want.id.cache_path[:2]).mkdir(exist_ok=True)
            shutil.rmtree(part)

    cache = watched(root, repository, remove)
    assert content(cache, want) == plain
    assert files(root) == [want.id.cache_path]
    cache.close()


def test_an_object_that_is_removed_each_time_that_it_came_is_handed_on(
    root: Path, repository: RepositorySimulator
) -> None:
    class Cleaned(AnchoredDirectory):
        def commit(self, unfinished: str, directory: str, name: str) -> None:
            super().commit(unfinished, directory, name)
            (root / directory / name).unlink()

    cache = DiskCache(root, repository, Cleaned)
    assert content(cache, put(repository)) == PLAIN
    cache.close()


def test_directories_that_were_left_are_closed_when_nobody_writes_in_them(
    root: Path, repository: RepositorySimulator
) -> None:
    now = 0.0
    cache = DiskCache(root, repository, clock=lambda: now)
    wants = [put(repository, bytes([number]) + PLAIN) for number in range(8)]

    def removed_and_filled() -> int:
        nonlocal now
        now += 100
        shutil.rmtree(root)
        for want in wants:
            os.close(cache.open(want))
        return len(os.listdir("/proc/self/fd"))

    for want in wants:
        os.close(cache.open(want))
    gc.collect()  # what other tests left open
    first = [removed_and_filled() for _ in range(3)]
    assert max(removed_and_filled() for _ in range(20)) <= first[-1]
    cache.close()


def test_one_that_was_left_stays_open_for_who_writes_in_it(root: Path, repository: RepositorySimulator) -> None:
    """However long that takes: a number that another file has by then must not be written to."""
    now = 0.0
    cache = DiskCache(root, repository, clock=lambda: now)
    slow, *others = [put(repository, bytes([number]) + LARGE) for number in range(4)]
    entered = [slow.id.path]

    def meanwhile(path: str) -> None:
        nonlocal now
        if path in entered:
            entered.clear()
            for other in others:
                now += 100
                shutil.rmtree(root)
                os.close(cache.open(other))

    repository.on_request = meanwhile
    assert content(cache, slow) == b"\0" + LARGE
    assert content(cache, others[-1]) == b"\3" + LARGE
    assert (root / slow.id.cache_path).stat().st_size == 1 + len(LARGE)
    cache.close()


@both_sizes
@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_disk_that_takes_nothing_more_is_one_warning(
    root: Path, repository: RepositorySimulator, plain: bytes, number: int, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings(GOES_ON)
    broken, now = True, 100.0

    def fail(_before: str) -> None:
        if broken:
            raise OSError(number, os.strerror(number))

    cache = watched(root, repository, fail, clock=lambda: now)
    want = put(repository, plain)
    assert [content(cache, want) for _ in range(3)] == [plain] * 3
    before = fetches(repository, want)
    assert before >= 3, "nothing was kept"
    broken, now = False, now + PAUSE
    assert [content(cache, want) for _ in range(3)] == [plain] * 3
    assert fetches(repository, want) == before + 1
    cache.close()


@pytest.mark.parametrize("refusal", [PermissionRefused("no"), PermissionError(errno.EACCES, "no"), FileNotFoundError()])
def test_one_that_cannot_be_made_again_is_one_warning(
    root: Path, repository: RepositorySimulator, refusal: Exception, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings(GOES_ON)
    may_be_made = True

    def enter(path: Path) -> AnchoredDirectory:
        if not may_be_made:
            raise refusal
        return AnchoredDirectory(path)

    cache = DiskCache(root, repository, enter)
    want, other = put(repository), put(repository, LARGE)
    assert content(cache, want) == PLAIN
    may_be_made = False
    shutil.rmtree(root)
    assert [content(cache, want) for _ in range(2)] == [PLAIN] * 2
    assert content(cache, other) == LARGE
    cache.close()


@both_sizes
@pytest.mark.parametrize("error", [NoConnection("no route"), TimedOut("silence")])
def test_an_error_of_the_network_is_not_taken_for_one_of_the_disk(
    root: Path, plain: bytes, error: NoConnection | TimedOut
) -> None:
    class Away(RepositorySimulator):
        def fetch(self, want: Want, sink: BinaryIO) -> None:
            sink.write(b"some")
            raise error

    source = Away()
    cache = DiskCache(root, source)
    with pytest.raises(type(error), match=str(error)):
        cache.open(put(source, plain))
    assert files(root) == []
    cache.close()


def test_what_still_arrives_when_the_cache_is_closed_is_read_and_not_kept_without_a_word(tmp_path):
    repository = RepositorySimulator()
    want = Want(repository.put(b"late"), size=4)
    cache = DiskCache(tmp_path / "cache", repository)
    cache.close()
    with open(cache.open(want), "rb") as file:
        assert file.read() == b"late"
    assert not (tmp_path / "cache" / want.id.cache_path).exists()


def test_a_directory_that_somebody_writes_in_is_closed_when_that_is_done(tmp_path):
    places = Places(tmp_path / "cache", enter)
    place = places.borrow()
    places.close()
    unfinished = place.create()
    os.close(unfinished[0])
    place.commit(unfinished[1], "aa", "object")
    places.give_back(place)
    assert (tmp_path / "cache/aa/object").exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        place.create()
    with pytest.raises(Refused, match="closed"):
        places.borrow()
