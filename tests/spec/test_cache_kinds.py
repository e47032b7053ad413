"""Caches besides the ordinary one: only read, shared by hosts, in memory, and one above the other."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swrepo.cache import plan as plans
from swrepo.cache.audit import audit
from swrepo.cache.communal import CommunalDirectory
from swrepo.cache.disk import DiskCache
from swrepo.cache.inventory import held
from swrepo.cache.memory import MemoryCache
from swrepo.cache.plan import CachePlan, DirectoryPlan, MemoryPlan, TieredPlan, Use
from swrepo.cache.quota import Quota
from swrepo.cache.readonly import ReadOnlyCache
from swrepo.cache.tiered import Tier, TieredCache
from swrepo.errors import PermissionRefused
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.object_id import Kind
from swrepo.objects.store import Want
from tests.conftest import ExpectedWarnings
from tests.simulator import RepositorySimulator, flipped
from tests.spec.test_cache_disk import LARGE, PLAIN, content, fetches, put

FQRN = "a.example.org"


@pytest.fixture
def repository() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def build(plan: CachePlan, repository: RepositorySimulator, workspace: Path | None = None) -> Tier:
    return plans.build(plan, repository, workspace)


def filled(root: Path, repository: RepositorySimulator, *plains: bytes) -> list[Want]:
    """A directory that was filled to be read, and what it holds."""
    wants = [put(repository, plain) for plain in plains]
    cache = build(DirectoryPlan(root, Use.FILL), repository)
    for want in wants:
        content(cache, want)
    cache.settle()
    cache.close()
    repository.requests.clear()
    return wants


def snapshot(root: Path) -> dict[str, tuple[int, int, int]]:
    """All that can be seen of a directory but the times of reading."""
    found = {}
    for path in (root, *root.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


# Only read


def test_a_read_only_cache_serves_what_it_has_and_writes_nothing(root: Path, repository: RepositorySimulator) -> None:
    wants = filled(root, repository, b"", PLAIN, LARGE)
    before = snapshot(root)
    cache = build(DirectoryPlan(root, Use.READ), repository)
    assert [content(cache, want) for want in wants] == [b"", PLAIN, LARGE]
    missing = put(repository, b"not there")
    assert content(cache, missing) == b"not there"
    cache.write_breadcrumb(FQRN, Breadcrumb(missing.id, 1, 1))
    cache.settle()
    cache.close()
    assert snapshot(root) == before


def test_what_a_read_only_cache_lacks_is_handed_through_each_time(root: Path, repository: RepositorySimulator) -> None:
    filled(root, repository)
    cache = build(DirectoryPlan(root, Use.READ), repository)
    want = put(repository)
    assert cache.open_if_here(want) is None
    assert [content(cache, want), content(cache, want)] == [PLAIN, PLAIN]
    assert cache.open_if_here(want) is None
    assert fetches(repository, want) == 2
    assert (cache.counters.fetched, cache.counters.unkept, cache.counters.fetched_bytes) == (2, 2, 2 * len(PLAIN))


def test_a_file_of_another_size_in_a_read_only_cache_is_not_served(root: Path, repository: RepositorySimulator) -> None:
    (want,) = filled(root, repository, PLAIN)
    os.truncate(root / want.id.cache_path, 10)
    cache = build(DirectoryPlan(root, Use.READ), repository)
    assert content(cache, want) == PLAIN
    assert fetches(repository, want) == 1


def test_what_a_run_without_an_end_left_is_checked_though_nothing_can_be_noted(
    root: Path, repository: RepositorySimulator
) -> None:
    whole, zeros = put(repository, b"whole"), put(repository, b"zeros")
    cut = DiskCache(root, repository, boot=b"then....")
    for want in (whole, zeros):
        content(cut, want)
    cut.close()
    (root / zeros.id.cache_path).write_bytes(bytes(5))
    repository.requests.clear()
    root.chmod(0o755)
    cache = ReadOnlyCache(root, repository, boot=b"now.....")
    for _ in range(2):
        assert content(cache, whole) == b"whole"
        assert content(cache, zeros) == b"zeros"
    assert (fetches(repository, whole), fetches(repository, zeros)) == (0, 2)


def test_what_was_filled_to_be_read_is_never_emptied_by_a_limit(root: Path, repository: RepositorySimulator) -> None:
    wants = filled(root, repository, *(b"%d" % number for number in range(50)))
    cache = build(DirectoryPlan(root, quota=4096 * 20), repository)
    for number in range(100, 140):
        content(cache, put(repository, b"%d" % number))
    cache.close()
    assert {item.path for item in held(root)} == {want.id.cache_path for want in wants}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_may_not_be_written_to_is_used_as_it_is(root: Path, repository: RepositorySimulator) -> None:
    (want,) = filled(root, repository, PLAIN)
    (root / "swrepo.preloaded").unlink()
    root.chmod(0o555)
    cache = build(DirectoryPlan(root), repository)
    assert content(cache, want) == PLAIN
    assert content(cache, put(repository, LARGE)) == LARGE
    root.chmod(0o755)


def test_a_cache_on_a_read_only_file_system_is_used_as_it_is(root: Path, repository: RepositorySimulator) -> None:
    (want,) = filled(root, repository, PLAIN)
    (root / "swrepo.preloaded").unlink()
    program = (
        "import sys; from pathlib import Path; from swrepo.cache.plan import *; "
        "print(type(build(DirectoryPlan(Path(sys.argv[1])), None)).__name__)"
    )
    script = f'mount --bind "{root}" "{root}" && mount -o remount,bind,ro "{root}" && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", sys.executable, "-c", program, str(root)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in ran.stderr or "mount:" in ran.stderr:
        pytest.skip(f"no namespaces here: {ran.stderr.strip()}")
    assert ran.stdout.strip() == "ReadOnlyCache", ran.stderr
    assert want.id.cache_path in {item.path for item in held(root)}


def test_a_read_only_cache_that_is_not_there_is_refused(root: Path, repository: RepositorySimulator) -> None:
    with pytest.raises(PermissionRefused, match="was it filled"):
        build(DirectoryPlan(root, Use.READ), repository)


def test_notes_about_a_read_only_cache_go_to_the_workspace(
    tmp_path: Path, root: Path, repository: RepositorySimulator
) -> None:
    (want,) = filled(root, repository, PLAIN)
    old, new = Breadcrumb(want.id, 5, 1), Breadcrumb(want.id, 6, 2)
    cache = build(DirectoryPlan(root, Use.READ), repository, tmp_path / "work")
    cache.write_breadcrumb(FQRN, new)
    assert build(DirectoryPlan(root, Use.READ), repository, tmp_path / "work").read_breadcrumb(FQRN).text == new.text
    (root / f"cvmfschecksum.{FQRN}").write_text(old.text)
    assert cache.read_breadcrumb(FQRN).text == new.text, "the newest of all counts"


# Shared by hosts


def hosts(root: Path, repository: RepositorySimulator, count: int) -> list[Tier]:
    return [build(DirectoryPlan(root, Use.SHARED), repository) for _ in range(count)]


def test_hosts_see_what_others_fetched(root: Path, repository: RepositorySimulator) -> None:
    want = put(repository)
    first, second = hosts(root, repository, 2)
    assert content(first, want) == PLAIN
    assert content(second, want) == PLAIN
    assert fetches(repository, want) == 1


def test_a_shared_cache_has_the_layout_and_the_modes_of_the_original(
    root: Path, repository: RepositorySimulator
) -> None:
    wants = [put(repository), put(repository, LARGE), put(repository, b"SQLite", kind=Kind.CATALOG)]
    mask = os.umask(0o077)
    try:
        (cache,) = hosts(root, repository, 1)
        for want in wants:
            content(cache, want)
        cache.write_breadcrumb(FQRN, Breadcrumb(wants[0].id, 1, 1))
        cache.close()
    finally:
        os.umask(mask)
    directories = {path.name for path in root.iterdir() if path.is_dir()}
    assert directories == {*(f"{number:02x}" for number in range(256)), "txn", "quarantaine"}
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert files == {*(want.id.cache_path for want in wants), f"cvmfschecksum.{FQRN}"}
    for path in (root, *root.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o770 if path.is_dir() else 0o660)


def test_a_shared_cache_takes_no_locks(root: Path, repository: RepositorySimulator, tmp_path: Path) -> None:
    program = (
        "import sys, fcntl; from pathlib import Path\n"
        "def no(*_): raise OSError(38, 'no locks here')\n"
        "fcntl.flock = fcntl.lockf = no\n"
        "from swrepo.cache.plan import *; from tests.simulator import RepositorySimulator; "
        "from tests.spec.test_cache_disk import content, put\n"
        "for use in (Use.SHARED, Use.FILL):\n"
        "    repository = RepositorySimulator(); cache = build(DirectoryPlan(Path(sys.argv[1]), use), repository)\n"
        "    print(len(content(cache, put(repository)))); cache.settle(); cache.close()\n"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(root)], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == [str(len(PLAIN))] * 2, ran.stderr


def test_an_object_that_another_host_committed_first_stays_the_file_it_is(
    root: Path, repository: RepositorySimulator
) -> None:
    """On NFS, whoever has a file open that another one replaces would get errors."""
    want = put(repository)
    first, second = hosts(root, repository, 2)

    def the_other_is_quicker(_path: str) -> None:
        repository.on_request = lambda _path: None
        content(second, want)

    repository.on_request = the_other_is_quicker
    assert content(first, want) == PLAIN
    assert fetches(repository, want) == 2
    assert first.counters.fetched == second.counters.fetched == 1
    number = (root / want.id.cache_path).stat().st_ino
    directory = CommunalDirectory(root)
    descriptor, unfinished = directory.create()
    os.write(descriptor, PLAIN)
    os.close(descriptor)
    directory.commit(unfinished, *want.id.cache_path.split("/"))
    assert (root / want.id.cache_path).stat().st_ino == number
    assert list((root / "txn").iterdir()) == []


def test_an_object_that_was_cut_short_is_replaced(root: Path, repository: RepositorySimulator) -> None:
    want = put(repository)
    (cache,) = hosts(root, repository, 1)
    content(cache, want)
    os.truncate(root / want.id.cache_path, 3)
    assert content(cache, want) == PLAIN
    assert (root / want.id.cache_path).read_bytes() == PLAIN


def test_what_a_dead_host_left_goes_after_a_day_and_nothing_else(root: Path, repository: RepositorySimulator) -> None:
    hosts(root, repository, 1)[0].close()
    txn = root / "txn"
    now = (root / "txn").stat().st_mtime
    for name, age in (("swrepo.dead.1", 100_000), ("swrepo.alive.1", 80_000), ("fetchAbCdEf", 100_000)):
        (txn / name).write_bytes(b"x")
        os.utime(txn / name, (now - age, now - age))
    hosts(root, repository, 1)[0].close()
    assert {path.name for path in txn.iterdir()} == {"swrepo.alive.1", "fetchAbCdEf"}


def test_nothing_of_a_shared_cache_is_ever_removed(root: Path, repository: RepositorySimulator) -> None:
    cache = build(DirectoryPlan(root, Use.SHARED, quota=4096), repository)
    for number in range(20):
        content(cache, put(repository, b"%d" % number))
    assert len(list(held(root))) == 20


def test_a_shared_cache_that_everybody_may_write_to_is_refused(root: Path, repository: RepositorySimulator) -> None:
    root.mkdir()
    root.chmod(0o777)
    with pytest.raises(PermissionRefused, match="everybody"):
        build(DirectoryPlan(root, Use.SHARED), repository)


def test_many_hosts_at_once_leave_whole_objects(root: Path, repository: RepositorySimulator) -> None:
    wants = [put(repository, b"%d" % number * 1000) for number in range(40)]
    caches = hosts(root, repository, 4)

    def read_all(cache: Tier) -> list[bytes]:
        return [content(cache, want) for want in wants]

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(read_all, caches):
            assert found == [b"%d" % number * 1000 for number in range(40)]
    found = audit(root)
    assert (found.good, found.removed) == (40, ())
    assert list((root / "txn").iterdir()) == []


# In memory


def test_a_cache_in_memory_goes_with_its_last_user(root: Path, repository: RepositorySimulator) -> None:
    want = put(repository)
    first, second = (build(MemoryPlan(root, 1 << 20), repository) for _ in range(2))
    assert isinstance(first, MemoryCache)
    content(first, want)
    first.close()
    assert second.open_if_here(want) is not None
    second.close()
    assert not root.exists()


def test_a_cache_in_memory_keeps_its_limit(root: Path, repository: RepositorySimulator) -> None:
    cache = build(MemoryPlan(root, 4096 * 10), repository)
    for number in range(30):
        content(cache, put(repository, b"%d" % number))
    assert len(list(held(root))) <= 12, "two may come while it is counted for the first time"
    cache.close()


# Two tiers


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    return tmp_path / "lower"


def paths(root: Path) -> set[str]:
    return {item.path for item in held(root)}


def test_what_the_lower_tier_has_is_copied_up_and_no_server_asked(
    root: Path, lower: Path, repository: RepositorySimulator
) -> None:
    wants = filled(lower, repository, PLAIN, LARGE)
    before = snapshot(lower)
    cache = build(TieredPlan(DirectoryPlan(root), DirectoryPlan(lower, Use.READ), fills=False), repository)
    assert [content(cache, want) for want in wants] == [PLAIN, LARGE]
    assert repository.requests == []
    assert paths(root) == {want.id.cache_path for want in wants}
    missing = put(repository, b"in neither")
    assert content(cache, missing) == b"in neither"
    assert missing.id.cache_path in paths(root)
    assert (cache.counters.hits, cache.counters.fetched, cache.counters.fetched_bytes) == (2, 1, 10)
    cache.close()
    assert snapshot(lower) == before


def test_what_neither_has_is_kept_in_both(root: Path, lower: Path, repository: RepositorySimulator) -> None:
    cache = build(TieredPlan(DirectoryPlan(root), DirectoryPlan(lower, Use.SHARED)), repository)
    want = put(repository)
    assert content(cache, want) == PLAIN
    assert paths(root) == paths(lower) == {want.id.cache_path}
    assert fetches(repository, want) == 1
    assert (cache.counters.hits, cache.counters.fetched, cache.counters.fetched_bytes) == (0, 1, len(PLAIN))
    (root / want.id.cache_path).unlink()
    assert content(cache, want) == PLAIN
    assert fetches(repository, want) == 1


def test_in_place_nothing_is_copied(root: Path, lower: Path, repository: RepositorySimulator) -> None:
    (want,) = filled(lower, repository, PLAIN)
    plan = TieredPlan(DirectoryPlan(root), DirectoryPlan(lower, Use.READ), fills=False, copies=False)
    cache = build(plan, repository)
    assert content(cache, want) == PLAIN
    missing = put(repository, b"in neither")
    assert content(cache, missing) == b"in neither"
    assert paths(root) == {missing.id.cache_path}
    assert [fetches(repository, want), fetches(repository, missing)] == [0, 1]
    assert (cache.counters.hits, cache.counters.fetched) == (1, 1)


def test_a_flipped_bit_in_the_lower_tier_does_not_get_up(
    root: Path, lower: Path, repository: RepositorySimulator, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings("damaged in the lower cache")
    (want,) = filled(lower, repository, PLAIN)
    path = lower / want.id.cache_path
    path.write_bytes(flipped(PLAIN, 4242))
    cache = build(TieredPlan(DirectoryPlan(root), DirectoryPlan(lower, Use.READ), fills=False), repository)
    assert content(cache, want) == PLAIN
    assert fetches(repository, want) == 1


def test_three_tiers_are_two_tiers_twice(
    tmp_path: Path, root: Path, lower: Path, repository: RepositorySimulator
) -> None:
    (want,) = filled(lower, repository, PLAIN)
    inner = TieredPlan(DirectoryPlan(tmp_path / "middle"), DirectoryPlan(lower, Use.READ), fills=False)
    cache = build(TieredPlan(MemoryPlan(root, 1 << 20), inner), repository)
    assert isinstance(cache, TieredCache)
    assert content(cache, want) == PLAIN
    assert paths(root) == paths(tmp_path / "middle") == {want.id.cache_path}
    assert repository.requests == []
    cache.close()


def test_a_lower_tier_that_has_no_room_is_left_out(root: Path, lower: Path, repository: RepositorySimulator) -> None:
    plan = TieredPlan(DirectoryPlan(root), DirectoryPlan(lower, quota=4096), fills=True)
    cache = build(plan, repository)
    want = put(repository, LARGE)
    assert content(cache, want) == LARGE
    assert paths(root) == {want.id.cache_path}
    assert paths(lower) == set()


def test_the_newest_breadcrumb_of_both_tiers_counts(root: Path, lower: Path, repository: RepositorySimulator) -> None:
    (want,) = filled(lower, repository, PLAIN)
    newer = Breadcrumb(want.id, 7, 7)
    (lower / f"cvmfschecksum.{FQRN}").write_text(newer.text)
    cache = build(TieredPlan(DirectoryPlan(root), DirectoryPlan(lower, Use.READ), fills=False), repository)
    assert cache.read_breadcrumb(FQRN).text == newer.text
    cache.write_breadcrumb(FQRN, Breadcrumb(want.id, 8, 8))
    assert cache.read_breadcrumb(FQRN).revision == 8
    assert (lower / f"cvmfschecksum.{FQRN}").read_text() == newer.text


# Volatile


def test_files_of_volatile_repositories_go_first(root: Path, repository: RepositorySimulator) -> None:
    quota = Quota(root, 1 << 30)
    ordinary = DiskCache(root, repository, quota=quota)
    other = RepositorySimulator()
    volatile = DiskCache(root, other)
    volatile.is_volatile = True
    old = [put(repository, b"ordinary %d" % number) for number in range(10)]
    for want in old:
        content(ordinary, want)
        os.utime(root / want.id.cache_path, (1, 1))
    new = [put(other, b"volatile %d" % number) for number in range(10)]
    for want in new:
        assert content(volatile, want) == content(volatile, want), "being read does not save it"
    catalog = put(other, b"catalog", kind=Kind.CATALOG)
    content(volatile, catalog)
    quota.clean(at_once=True)
    left = paths(root)
    assert not left & {want.id.cache_path for want in new}
    assert len(left & {want.id.cache_path for want in old}) == 9, "half of 21"
    assert catalog.id.cache_path in left
    ordinary.close()
    volatile.close()
