"""What the kernel was told once it does not ask again: counted in requests, not in time."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.golden import golden
from tests.mount.mounted import Mount, mounted, repository

pytestmark = pytest.mark.mount


def find_ls(mount: Mount) -> int:
    """Lines of `find -ls`."""
    return subprocess.run(["find", str(mount.point), "-ls"], check=True, capture_output=True).stdout.count(b"\n")


def cat_all(mount: Mount) -> int:
    """Bytes of all files, read by `cat`."""
    command = f"find '{mount.point}' -type f -print0 | xargs -0 cat | wc -c"
    return int(subprocess.run(["sh", "-c", command], check=True, capture_output=True).stdout)


@pytest.fixture(scope="module", params=["nested", "hardlinks"])
def warm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    with mounted(tmp_path_factory.mktemp("warm"), **repository(golden(request.param))) as mount:
        yield mount, golden(request.param)


def test_a_second_find_sends_no_request(warm) -> None:
    mount, repo = warm
    assert find_ls(mount) == len(repo.rows)
    before = mount.requests()

    assert find_ls(mount) == len(repo.rows)

    assert mount.requests() == before


def test_a_second_cat_of_all_files_sends_no_request_and_fetches_nothing(warm) -> None:
    mount, repo = warm
    size = sum(row.size for row in repo.rows if row.type == "f")
    assert cat_all(mount) == size
    before, fetched = mount.requests(), mount.counters()["cache fetched"]

    assert cat_all(mount) == size

    assert mount.requests() == before
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
        before = mount.requests()

        assert [os.readlink(link) for link in links] == targets

        assert mount.requests() == before
