"""What the kernel was told once it does not ask again: counted in requests, not in time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.golden import golden
from tests.mount.mounted import Mount, mounted, repository
from tests.mount.test_golden_mount import is_privileged

pytestmark = pytest.mark.mount


def find_ls(mount: Mount) -> int:
    """Lines of `find -ls`."""
    ran = subprocess.run(["find", str(mount.point), "-ls"], check=False, capture_output=True)
    assert not is_privileged() or ran.returncode == 0, ran.stderr
    return ran.stdout.count(b"\n")


def cat_all(mount: Mount) -> int:
    """Bytes of all files, read by `cat`."""
    command = f"find '{mount.point}' -type f -print0 | xargs -0 cat | wc -c"
    return int(subprocess.run(["sh", "-c", command], check=True, capture_output=True).stdout)


def assert_silent(mount: Mount, use: Callable[[], object]) -> None:
    """Using the mount once more sends no request to its process.

    Pages that nobody uses may be taken by a kernel that reclaims memory ahead of need (DAMON), and are then asked for
    again; so one silent time of a few is enough, and what is never kept still fails. Who is refused access makes the
    kernel look whether the mode has changed: that does not count for ordinary users.
    """
    for _ in range(5):
        before = counted(mount)
        use()
        after = counted(mount)
        if after == before:
            return
    assert after == before


def counted(mount: Mount) -> dict[str, int]:
    requests = mount.requests()
    if not is_privileged():
        requests.pop("requests GETATTR", None)
    return requests


def as_root(value: int, expected: int) -> bool:
    """What root reads is everything; others may not look into every directory."""
    return value == expected if is_privileged() else 0 < value <= expected


@pytest.fixture(scope="module", params=["nested", "hardlinks"])
def warm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    with mounted(tmp_path_factory.mktemp("warm"), **repository(golden(request.param))) as mount:
        yield mount, golden(request.param)


def test_a_second_find_sends_no_request(warm) -> None:
    mount, repo = warm
    lines = find_ls(mount)
    assert as_root(lines, len(repo.rows))
    assert_silent(mount, lambda: find_ls(mount))


def test_a_second_cat_of_all_files_sends_no_request_and_fetches_nothing(warm) -> None:
    mount, repo = warm
    size = sum(row.size for row in repo.rows if row.type == "f")
    read = cat_all(mount)
    assert as_root(read, size)
    fetched = mount.counters()["cache fetched"]

    assert_silent(mount, lambda: cat_all(mount))

    assert mount.counters()["cache fetched"] == fetched


def test_missing_names_are_asked_for_once(warm) -> None:
    mount, _ = warm
    for _ in range(2):
        assert not (mount.point / "no such name").exists()
        before = mount.requests()
    assert mount.requests() == before
    assert not (mount.point / "no such name").exists()
    assert mount.requests() == before


def test_links_are_resolved_once(tmp_path: Path) -> None:
    with mounted(tmp_path, **repository(golden("basic"))) as mount:
        links = [
            mount.point / row.path.decode()[1:]
            for row in golden("basic").rows
            if row.type == "l" and row.path.isascii() and b"%" not in row.path
        ]
        assert len(links) > 10
        targets = [os.readlink(link) for link in links]
        assert_silent(mount, lambda: [os.readlink(link) for link in links])
        assert [os.readlink(link) for link in links] == targets
