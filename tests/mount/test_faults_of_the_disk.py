"""A cache that is full, removed or damaged under a mount: readers get the right bytes all the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from swrepo.cli.main import main
from tests.mount.faulty import LARGE, Faulty, Site, faulty, tree
from tests.mount.test_killed_worker import DIED, kill

pytestmark = pytest.mark.mount

NAMES = ("file", "directory/file", "other/file", "last")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, tree(*NAMES, large=LARGE), (b"/directory", b"/other"))


@pytest.fixture
def mount(site: Site, tmp_path: Path) -> Iterator[Faulty]:
    with faulty(tmp_path, site, prefetch=True) as found:
        yield found


def drop_pages(mount: Faulty) -> None:
    """Have the kernel forget the contents of files that nobody uses, so that they are asked of us again."""
    for directory, _, files in os.walk(mount.path()):
        for name in files:
            descriptor = os.open(os.path.join(directory, name), os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def test_a_cache_that_is_removed_is_made_again(mount: Faulty) -> None:
    assert mount.is_right("file")
    assert mount.is_right("directory/file")

    shutil.rmtree(mount.mount.cache)

    assert all(mount.is_right(name) for name in (*NAMES, "large"))
    drop_pages(mount)
    assert all(mount.is_right(name) for name in (*NAMES, "large"))
    assert any(mount.mount.cache.glob("??/*")), "and it is used again"


def test_a_cache_that_is_emptied_is_filled_again(mount: Faulty) -> None:
    assert mount.is_right("file")
    for path in mount.mount.cache.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    assert all(mount.is_right(name) for name in (*NAMES, "large"))
    drop_pages(mount)
    assert all(mount.is_right(name) for name in (*NAMES, "large"))


def test_a_cache_that_is_removed_again_and_again_while_many_read(mount: Faulty) -> None:
    names = [*NAMES, "large"]
    with ThreadPoolExecutor(8) as readers:
        for _ in range(10):
            outcomes = [readers.submit(mount.is_right, name) for name in names * 2]
            shutil.rmtree(mount.mount.cache, ignore_errors=True)
            drop_pages(mount)
            assert all(outcome.result(60) for outcome in outcomes)


def test_files_of_the_cache_that_became_shorter_are_fetched_again(mount: Faulty) -> None:
    names = ("file", "large")
    assert all(mount.is_right(name) for name in names)
    for name in names:
        for path in mount.mount.cache.glob("??/*"):
            if path.stat().st_size == len(mount.site.content(name)):
                path.write_bytes(path.read_bytes()[:-10])
    drop_pages(mount)

    assert all(mount.is_right(name) for name in names)


def test_mounts_that_share_a_cache_too_small_for_them_may_be_killed(tmp_path: Path) -> None:
    # Ten megabytes: each process, and each that was killed, may hold one that it has not told the others of.
    names = [f"file{number:03}" for number in range(48)]
    bodies = {name: name.encode() * 28_000 for name in names}
    site = Site(tmp_path, tree(**bodies))
    limits = {"cache": str(tmp_path / "cache"), "quota": 1_500_000, "prefetch": True, "expected": DIED}
    with faulty(tmp_path / "one", site, **limits) as one, faulty(tmp_path / "other", site, **limits) as other:
        with ThreadPoolExecutor(8) as readers:
            for _ in range(3):
                outcomes = [readers.submit(mount.is_right, name) for name in names for mount in (one, other)]
                kill(one.mount)
                drop_pages(other)
                assert all(outcome.result(60) for outcome in outcomes)
                drop_pages(one)
        with ThreadPoolExecutor(2) as checkers:
            assert list(checkers.map(lambda mount: all(map(mount.is_right, names)), (one, other))) == [True] * 2
        assert sum(mount.mount.counters()["cache evicted"] for mount in (one, other)) > 0
    assert main(["fsck", "--cache", limits["cache"]]) == 0, "nothing wrong was left by the killed ones"


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    point = tmp_path / "tiny"
    point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "none", str(point)]
    made = subprocess.run(command, capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"cannot mount a tmpfs: {made.stderr.decode().strip()}")
    yield point
    subprocess.run(["umount", str(point)], check=True)


def fill(directory: Path) -> None:
    """Leave no block free."""
    with suppress(OSError), open(directory / "filler", "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def test_a_disk_that_fills_up_under_a_mount_is_one_warning_and_no_error(site: Site, tmp_path: Path, tiny: Path) -> None:
    with faulty(tmp_path, site, expected=("reading goes on without keeping",), cache=str(tiny / "cache")) as mount:
        assert mount.is_right("file")
        fill(tiny)

        for _ in range(2):
            assert all(mount.is_right(name) for name in (*NAMES, "large"))
            drop_pages(mount)
        site.publish(tree(*NAMES, "new", large=LARGE), (b"/directory",))
        assert "follows" in mount.mount.ask("remount")
        assert all(mount.is_right(name) for name in (*NAMES, "new", "large"))

        assert len(mount.log("reading goes on without keeping")) == 1


def test_a_mount_on_a_disk_that_is_full_from_the_beginning_can_be_read(site: Site, tmp_path: Path, tiny: Path) -> None:
    (tiny / "cache").mkdir(mode=0o700)
    fill(tiny)
    with faulty(tmp_path, site, expected=("reading goes on without keeping",), cache=str(tiny / "cache")) as mount:
        assert all(mount.is_right(name) for name in (*NAMES, "large"))
