"""After a power cut nothing wrong is served; after an orderly end nothing is checked twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from swrepo.cache import record
from swrepo.cache.boots import NO_BOOT, Boots
from swrepo.cache.disk import DiskCache
from swrepo.objects.store import Want
from tests.simulator import RepositorySimulator
from tests.spec.test_cache_disk import LARGE, PLAIN, content, fetches, put

FIRST, SECOND, THIRD = b"firstrun", b"2nd run.", b"3rd run."


@pytest.fixture
def repository() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


Start = Callable[[bytes], DiskCache]


@pytest.fixture
def start(root: Path, repository: RepositorySimulator) -> Start:
    """Opens the cache in a run of the machine."""
    return lambda boot: DiskCache(root, repository, boot=boot)


def power_cut(cache: DiskCache) -> None:
    """The process ends without having settled anything."""
    cache.close()


def orderly_end(cache: DiskCache) -> None:
    cache.settle()
    cache.close()


def zeros(root: Path, want: Want) -> None:
    """What a file system may show after a power cut: name and size, and no bytes."""
    path = root / want.id.cache_path
    note = record.read(str(path))
    with open(path, "r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert record.read(str(path)) == note


@pytest.mark.parametrize("plain", [PLAIN, LARGE], ids=["small", "large"])
def test_bytes_that_got_lost_are_fetched_again(
    root: Path, repository: RepositorySimulator, start: Start, plain: bytes
) -> None:
    want = put(repository, plain)
    cache = start(FIRST)
    content(cache, want)
    power_cut(cache)
    zeros(root, want)
    cache = start(SECOND)
    assert cache.open_if_here(want) is None
    assert content(cache, want) == plain
    assert fetches(repository, want) == 2
    cache.close()


def test_what_is_whole_is_checked_once_and_served(root: Path, repository: RepositorySimulator, start: Start) -> None:
    want = put(repository)
    cache = start(FIRST)
    content(cache, want)
    power_cut(cache)
    cache = start(SECOND)
    assert content(cache, want) == PLAIN
    assert fetches(repository, want) == 1
    noted = record.read(str(root / want.id.cache_path))
    assert noted is not None
    assert noted.boot == SECOND
    zeros(root, want)
    assert content(cache, want) == bytes(len(PLAIN)), "no second look: that is what makes it cheap"
    cache.close()


def test_after_an_orderly_end_nothing_is_checked(root: Path, repository: RepositorySimulator, start: Start) -> None:
    want = put(repository)
    cache = start(FIRST)
    content(cache, want)
    orderly_end(cache)
    content(start(SECOND), want)
    noted = record.read(str(root / want.id.cache_path))
    assert noted is not None
    assert noted.boot == FIRST


def test_the_end_is_orderly_only_when_the_last_process_says_so(
    root: Path, repository: RepositorySimulator, start: Start
) -> None:
    early, late = put(repository), put(repository, LARGE)
    one, other = start(FIRST), start(FIRST)
    content(one, early)
    content(other, late)
    orderly_end(one)
    assert start(SECOND)._boots.suspects == {FIRST}
    orderly_end(other)
    assert not start(SECOND)._boots.suspects


def test_a_process_that_comes_after_the_end_makes_the_run_suspect_again(
    repository: RepositorySimulator, start: Start
) -> None:
    cache = start(FIRST)
    content(cache, put(repository))
    orderly_end(cache)
    cache = start(FIRST)
    content(cache, put(repository, LARGE))
    power_cut(cache)
    assert start(SECOND)._boots.suspects == {FIRST}


def test_who_only_reads_makes_nothing_suspect(repository: RepositorySimulator, start: Start) -> None:
    want = put(repository)
    cache = start(FIRST)
    content(cache, want)
    orderly_end(cache)
    cache = start(SECOND)
    content(cache, want)
    power_cut(cache)
    assert not start(THIRD)._boots.suspects


def test_a_run_stays_suspect_over_orderly_ones(root: Path, repository: RepositorySimulator, start: Start) -> None:
    lost, other = put(repository), put(repository, LARGE)
    cache = start(FIRST)
    content(cache, lost)
    power_cut(cache)
    zeros(root, lost)
    cache = start(SECOND)
    content(cache, other)
    orderly_end(cache)
    cache = start(THIRD)
    assert content(cache, lost) == PLAIN
    assert fetches(repository, other) == 1
    cache.close()


def test_within_one_run_nothing_is_checked(root: Path, repository: RepositorySimulator, start: Start) -> None:
    cache = start(FIRST)
    content(cache, put(repository))
    power_cut(cache)  # here: kill -9
    assert not start(FIRST)._boots.suspects


def test_what_has_no_note_is_fetched_again_once(root: Path, repository: RepositorySimulator, start: Start) -> None:
    """As on a file system that takes no notes, and for what the original's client left."""
    want = put(repository)
    cache = start(FIRST)
    content(cache, want)
    power_cut(cache)
    os.removexattr(root / want.id.cache_path, "user.swrepo.check")
    cache = start(SECOND)
    assert content(cache, want) == PLAIN
    assert fetches(repository, want) == 2
    os.removexattr(root / want.id.cache_path, "user.swrepo.check")
    assert content(cache, want) == PLAIN
    assert fetches(repository, want) == 2
    cache.close()


def test_where_the_system_does_not_number_its_starts_nothing_is_written(
    root: Path, repository: RepositorySimulator, start: Start
) -> None:
    cache = start(NO_BOOT)
    content(cache, put(repository))
    cache.close()
    assert not (root / "swrepo.boots").exists()


@pytest.mark.parametrize("damaged", [b"", b"\0" * 17, b"\xff" * 16 + b"\n", b"0011\n", b"zz" * 8 + b"\n"])
def test_a_damaged_list_suspects_nobody_by_mistake(root: Path, damaged: bytes) -> None:
    root.mkdir()
    (root / "swrepo.boots").write_bytes(damaged + FIRST.hex().encode() + b"\n" if damaged[-1:] == b"\n" else damaged)
    assert Boots(root, SECOND).suspects == ({FIRST} if damaged[-1:] == b"\n" else frozenset())


def test_the_directory_may_be_removed_and_is_suspect_again(
    root: Path, repository: RepositorySimulator, start: Start
) -> None:
    import shutil

    cache = start(FIRST)
    content(cache, put(repository))
    shutil.rmtree(root)
    content(cache, put(repository, LARGE))
    power_cut(cache)
    assert start(SECOND)._boots.suspects == {FIRST}
