"""Mounts over every kind of cache, and what a mount tells of its cache and does with it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from swrepo.cache.audit import audit
from swrepo.cache.inventory import held
from swrepo.cache.plan import DirectoryPlan, Use
from swrepo.client.access import Access
from swrepo.client.preload import preload
from swrepo.client.request import AccessRequest
from tests.faults import refusing
from tests.golden import CLOCK, Golden, golden
from tests.mount.mounted import Mount, mounted, repository, wait_until

pytestmark = pytest.mark.mount

OFFLINE = ("no server of",)
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def repo() -> Golden:
    return golden("basic")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, repo: Golden) -> Path:
    """A preloaded directory."""
    root = tmp_path_factory.mktemp("preloaded") / "cache"
    request = AccessRequest(
        urls=(repo.served.as_uri(),),
        keys=(repo.public_key,),
        cache=root,
        clock=lambda: CLOCK,
        caches=DirectoryPlan(root, Use.FILL),
        remember=False,
    )
    with Access(request) as access:
        assert preload(access, jobs=4).errors == []
    return root


@pytest.fixture
def nowhere(repo: Golden) -> Iterator[dict]:
    """The part of a request that names a server that is down."""
    with refusing() as url:
        yield {"urls": [f"{url}/{repo.fqrn}"], "keys": [str(repo.public_key)], "fqrn": repo.fqrn, "max_retries": 0}


def assert_all_readable(mount: Mount, repo: Golden) -> None:
    closed = [row.path + b"/" for row in repo.rows if row.type == "d" and not row.mode & 0o001]
    rows = [
        row
        for row in repo.rows
        if row.type == "f" and row.mode & 0o004 and not any(row.path.startswith(above) for above in closed)
    ]
    for row in rows:
        found = Path(os.fsdecode(os.fsencode(mount.point) + row.path)).read_bytes()
        assert hashlib.sha256(found).hexdigest() == row.sha256
    assert len(rows) > 20


def tiered(upper: Path, lower: Path, **more: str) -> dict[str, str]:
    return {
        "CVMFS_CACHE_PRIMARY": "both",
        "CVMFS_CACHE_both_TYPE": "tiered",
        "CVMFS_CACHE_both_UPPER": "fast",
        "CVMFS_CACHE_both_LOWER": "large",
        "CVMFS_CACHE_fast_TYPE": "posix",
        "CVMFS_CACHE_fast_BASE": str(upper),
        "CVMFS_CACHE_large_TYPE": "posix",
        "CVMFS_CACHE_large_ALIEN": str(lower),
        **more,
    }


def test_a_preloaded_cache_serves_a_mount_without_a_server_and_stays_as_it_is(
    tmp_path: Path, repo: Golden, filled: Path, nowhere: dict
) -> None:
    before = {path: path.stat().st_mtime_ns for path in filled.rglob("*")}
    request = {**nowhere, "cache": str(filled), "control": str(tmp_path / "control")}
    with mounted(tmp_path, expected=OFFLINE, **request) as mount:
        assert_all_readable(mount, repo)
        assert mount.counters()["cache fetched"] == 0
    assert {path: path.stat().st_mtime_ns for path in filled.rglob("*")} == before


def test_hosts_that_share_a_cache_fetch_each_object_once(tmp_path: Path, repo: Golden) -> None:
    shared = tmp_path / "shared"
    caches = {"CVMFS_ALIEN_CACHE": str(shared), "CVMFS_QUOTA_LIMIT": "-1"}
    with (
        mounted(tmp_path / "one", **repository(repo), caches=caches) as first,
        mounted(tmp_path / "two", **repository(repo), caches=caches) as second,
    ):
        assert_all_readable(first, repo)
        fetched = first.counters()["cache fetched"]
        assert_all_readable(second, repo)
        assert second.counters()["cache fetched"] == 0
    assert fetched <= len(list(held(shared)))
    assert not [path for path in shared.iterdir() if path.name.startswith("swrepo.")]
    assert audit(shared).removed == ()


def test_two_tiers_over_a_preloaded_one_copy_what_is_read(
    tmp_path: Path, repo: Golden, filled: Path, nowhere: dict
) -> None:
    caches = tiered(tmp_path / "upper", filled, CVMFS_CACHE_both_LOWER_READONLY="yes")
    with mounted(tmp_path, expected=OFFLINE, **nowhere, caches=caches) as mount:
        assert_all_readable(mount, repo)
    assert {item.path for item in held(tmp_path / "upper")} <= {item.path for item in held(filled)}
    assert len(list(held(tmp_path / "upper"))) > 20


def test_two_tiers_read_in_place_copy_nothing(tmp_path: Path, repo: Golden, filled: Path, nowhere: dict) -> None:
    more = {"CVMFS_CACHE_both_LOWER_READONLY": "yes", "CVMFS_CACHE_both_COPY_UP": "no"}
    with mounted(tmp_path, expected=OFFLINE, **nowhere, caches=tiered(tmp_path / "upper", filled, **more)) as mount:
        assert_all_readable(mount, repo)
    assert list(held(tmp_path / "upper")) == []


def test_a_mount_over_memory_leaves_nothing(tmp_path: Path, repo: Golden) -> None:
    caches = {
        "CVMFS_CACHE_PRIMARY": "test",
        "CVMFS_CACHE_test_TYPE": "ram",
        "CVMFS_CACHE_test_SIZE": "50",
    }
    with mounted(tmp_path, **repository(repo), caches=caches) as mount:
        assert_all_readable(mount, repo)
        root = Path(mount.ask("cache instance").split(":")[0])
        assert root.is_relative_to("/dev/shm")
        assert len(list(held(root))) > 20
    assert not root.exists()


# What a mount tells of its cache


@pytest.fixture
def limited(tmp_path: Path, repo: Golden) -> Iterator[Mount]:
    with mounted(tmp_path, **repository(repo), quota=20 * MEGABYTE) as mount:
        yield mount


def df(mount: Mount) -> tuple[int, int]:
    """Bytes in all and left, as another process sees them."""
    ran = subprocess.run(["stat", "-f", "-c", "%S %b %a", str(mount.point)], check=True, capture_output=True)
    size, total, left = map(int, ran.stdout.split())
    return size * total, size * left


def taken(mount: Mount) -> int:
    """Bytes of disk under the cache. What is read ahead may still be coming."""
    return sum(-(-item.size // 4096) * 4096 for item in held(mount.cache))


def test_df_shows_the_limit_and_what_is_left_of_it(limited: Mount, repo: Golden) -> None:
    total, left = df(limited)
    assert total == 20 * MEGABYTE
    assert 0 < left < total, "a catalog is there"
    assert_all_readable(limited, repo)
    wait_until(lambda: df(limited) == (total, total - taken(limited)))


def test_the_size_is_told_as_the_original_tells_it(limited: Mount, repo: Golden) -> None:
    assert_all_readable(limited, repo)

    def is_right() -> bool:
        size = taken(limited)
        expected = f"Current cache size is {size // MEGABYTE}MB ({size} Bytes), pinned: "
        return limited.ask("cache size").startswith(expected)

    wait_until(is_right)


def test_what_is_there_is_listed_and_catalogs_are_pinned(limited: Mount, repo: Golden) -> None:
    assert_all_readable(limited, repo)

    def is_right() -> bool:
        listed = {line.split()[3] for line in limited.ask("cache list").splitlines()}
        return len(listed) > 20 and listed == {item.path for item in held(limited.cache)}

    wait_until(is_right)
    assert limited.ask("cache list catalogs") == "/"
    assert len(limited.ask("cache list pinned").splitlines()) == 1


def test_cleaning_up_leaves_as_much_as_one_says_and_what_is_pinned(limited: Mount, repo: Golden) -> None:
    assert_all_readable(limited, repo)
    row = next(row for row in repo.rows if row.type == "f" and row.size > 5000 and row.mode & 0o004)
    assert limited.ask(f"pin {os.fsdecode(row.path)}").startswith("1 objects")

    def is_clean() -> bool:
        """But for the catalog and what was pinned."""
        assert "objects were evicted" in limited.ask("cleanup 0")
        return len(list(held(limited.cache))) == 2

    wait_until(is_clean)
    left = {item.path for item in held(limited.cache)}
    assert {line.split()[3] for line in limited.ask("cache list pinned").splitlines()} == left
    assert int(limited.ask("cleanup rate 5")) >= 1
    assert_all_readable(limited, repo)


def test_one_file_can_be_evicted_and_comes_again(limited: Mount, repo: Golden) -> None:
    assert_all_readable(limited, repo)
    row = next(row for row in repo.rows if row.type == "f" and row.size > 5000 and row.mode & 0o004)
    before = {item.path for item in held(limited.cache)}
    assert limited.ask(f"evict {os.fsdecode(row.path)}") == "1 objects were removed from the cache"
    assert len(before - {item.path for item in held(limited.cache)}) == 1
    assert limited.ask("evict /no/such").startswith("error: no such file")
    assert_all_readable(limited, repo)


def test_the_limit_can_be_changed(limited: Mount, repo: Golden) -> None:
    assert_all_readable(limited, repo)
    assert limited.ask("cache limit get") == "20"
    assert "1 MB" in limited.ask("cache limit set 1")
    wait_until(lambda: taken(limited) <= MEGABYTE)
    assert df(limited)[0] == MEGABYTE
    assert limited.ask("cache limit set many").startswith("error: 'many' is no number")
    assert_all_readable(limited, repo)


def test_a_cache_that_is_removed_under_a_mount_with_a_shared_one_comes_again(tmp_path: Path, repo: Golden) -> None:
    shared = tmp_path / "shared"
    with mounted(tmp_path, **repository(repo), caches={"CVMFS_ALIEN_CACHE": str(shared)}) as mount:
        shutil.rmtree(shared)
        assert_all_readable(mount, repo)
    assert len(list(held(shared))) > 20
