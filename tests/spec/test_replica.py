"""A replica shows what its stratum 0 published, whole and verified, or what it showed before."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from swrepo.errors import (
    Busy,
    CorruptObject,
    ObjectNotFound,
    PermissionRefused,
    Rollback,
    UntrustedSignature,
    UsageError,
    WhitelistExpired,
)
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.wellknown import LAST_SNAPSHOT, MANIFEST, MASTER_REPLICA, SNAPSHOTTING, WHITELIST
from swrepo.publish import replica_settings
from swrepo.publish.create import CreateOptions
from swrepo.publish.removal import remove_repository
from swrepo.publish.renewal import Renewer
from swrepo.publish.replica_settings import ReplicaSettings
from swrepo.replica import every
from swrepo.system.lock import exclusive
from swrepo.upkeep.garbage import Collection, Keep
from swrepo.upkeep.opening import Keeper
from tests.publishing import Server, fast_options
from tests.replicas import Replica, copy_of


def changed(server: Server, number: int, tag: str = "") -> None:
    """A revision with two files of its own, one of them in a nested catalog."""
    for name in ("own", "nested/own"):
        (server.tree / name).write_text(f"{name} of revision {number}" * 100)
    server.publish(tag)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A repository with files in chunks, small ones, and a tag on a revision that is not the newest."""
    server = Server(
        tmp_path_factory.mktemp("replicas") / "published", fast_options(garbage_collectable=True, auto_tag=False)
    )
    (server.tree / "nested/deep").mkdir(parents=True)
    for directory in ("nested", "nested/deep"):
        (server.tree / directory / ".cvmfscatalog").touch()
    (server.tree / "large").write_bytes(os.urandom(100_000))
    (server.tree / "shared").write_text("the same in all")
    for number in range(20):
        (server.tree / f"nested/deep/{number}").write_text(f"file {number}")
    changed(server, 1, "kept")
    changed(server, 2)
    return server


@pytest.fixture
def server(tmp_path: Path, published: Server) -> Server:
    return copy_of(published, tmp_path / "stratum0")


@pytest.fixture
def replica(tmp_path: Path, server: Server) -> Replica:
    return Replica(tmp_path / "stratum1", server)


def test_the_first_copy_has_the_newest_revision_and_those_with_tags(server: Server, replica: Replica) -> None:
    done = replica.snapshot()
    assert replica.faults() == []
    assert replica.document(MANIFEST) == (server.places.storage / MANIFEST).read_bytes()
    assert replica.document(WHITELIST) == (server.places.storage / WHITELIST).read_bytes()
    assert (done.is_first, done.before, done.revision) == (True, None, server.manifest().revision)
    assert {tag.root for tag in server.tags().values()} <= replica.objects()
    assert len(replica.asked) == len(set(replica.asked)) == done.fetched
    assert replica.document(LAST_SNAPSHOT)
    assert not (replica.places.storage / SNAPSHOTTING).exists()


def test_what_is_copied_is_what_is_published_and_no_more(server: Server, replica: Replica) -> None:
    Collection(server_keeper(server), Keep(revisions=0)).run(server.fqrn)
    replica.snapshot()
    assert replica.objects() == server.objects()


def test_only_what_is_new_is_fetched(server: Server, replica: Replica) -> None:
    replica.snapshot()
    before = replica.objects()
    changed(server, 3)
    done = replica.snapshot()
    assert not set(replica.asked) & before
    assert replica.faults() == []
    assert (done.before, done.revision) == (server.manifest().revision - 1, server.manifest().revision)
    # two files, two catalogs, the tag database
    assert sorted(name.kind for name in replica.asked) == sorted(
        [Kind.FILE, Kind.FILE, Kind.CATALOG, Kind.CATALOG, Kind.HISTORY]
    )


def test_nothing_new_fetches_nothing_but_a_renewed_whitelist_comes(server: Server, replica: Replica) -> None:
    replica.snapshot()
    server.clock.ns += 10**9 * 86400 * 10
    Renewer(clock_ns=server.clock.nanoseconds).whitelist(server.places)
    done = replica.snapshot()
    assert replica.asked == []
    assert not done.is_new
    assert replica.document(WHITELIST) == (server.places.storage / WHITELIST).read_bytes()


def test_revisions_between_two_copies_are_copied_too(server: Server, replica: Replica) -> None:
    replica.snapshot()
    roots = []
    for number in range(3, 6):
        changed(server, number)
        roots.append(server.manifest().root_catalog)
    assert replica.snapshot().revisions == 3
    assert set(roots) <= replica.objects()


def test_a_repository_that_may_not_be_replicated_is_refused(tmp_path: Path, server: Server, replica: Replica) -> None:
    (server.places.storage / MASTER_REPLICA).unlink()
    with pytest.raises(PermissionRefused, match="alterfs -m on"):
        replica.snapshot()
    with pytest.raises(PermissionRefused, match="may not be replicated"):
        Replica(tmp_path / "another", server)
    assert not (tmp_path / "another/etc/cvmfs/repositories.d").exists()


def test_a_copy_cannot_be_copied(tmp_path: Path, server: Server, replica: Replica) -> None:
    replica.snapshot()
    with pytest.raises(PermissionRefused, match="cannot be copied in its turn"):
        Replica(tmp_path / "another", server, replica.places.storage.as_uri())


def test_an_object_that_is_corrupt_at_the_stratum_0_ends_it_and_nothing_changes(
    server: Server, replica: Replica
) -> None:
    replica.snapshot()
    before = replica.document(MANIFEST)
    changed(server, 3)
    (new,) = [
        name for name in server.objects() - replica.objects() if stored(server, name) == content(server, "nested/own")
    ]
    right = (server.places.storage / new.path).read_bytes()
    (server.places.storage / new.path).write_bytes(b"something else")
    with pytest.raises(CorruptObject, match=new.text):
        replica.snapshot()
    assert replica.document(MANIFEST) == before
    assert new not in replica.objects()
    assert replica.faults() == []
    (server.places.storage / new.path).write_bytes(right)
    came = set(replica.asked)
    replica.snapshot()
    assert new in replica.asked
    assert not {name for name in replica.asked if name.kind is Kind.CATALOG} & came
    assert replica.faults() == []


def test_a_catalog_that_is_corrupt_at_the_stratum_0_ends_it(server: Server, replica: Replica) -> None:
    root = server.manifest().root_catalog
    (server.places.storage / root.path).write_bytes(b"something else")
    with pytest.raises(CorruptObject, match=root.text):
        replica.snapshot()
    assert not (replica.places.storage / MANIFEST).exists()


def test_an_object_that_the_stratum_0_lacks_ends_it(server: Server, replica: Replica) -> None:
    (name,) = [one for one in server.objects() if stored(server, one) == b"the same in all"]
    (server.places.storage / name.path).unlink()
    with pytest.raises(ObjectNotFound, match=name.path):
        replica.snapshot()
    assert not (replica.places.storage / MANIFEST).exists()


def test_a_whitelist_that_has_expired_is_refused(server: Server, replica: Replica) -> None:
    replica.snapshot()
    before = replica.document(MANIFEST)
    changed(server, 3)
    server.clock.ns += 10**9 * 86400 * 31
    with pytest.raises(WhitelistExpired):
        replica.snapshot()
    assert replica.document(MANIFEST) == before


def test_the_keys_of_another_repository_are_refused_before_anything_is_made(tmp_path: Path, server: Server) -> None:
    other = Server(tmp_path / "other", CreateOptions())
    with pytest.raises(UntrustedSignature):
        Replica(tmp_path / "stratum1", server, keys=(other.places.keys.public,))
    assert not (tmp_path / "stratum1/etc/cvmfs/repositories.d").exists()


def test_a_stratum_0_that_shows_an_older_revision_is_refused(server: Server, replica: Replica) -> None:
    old = (server.places.storage / MANIFEST).read_bytes()
    changed(server, 3)
    replica.snapshot()
    (server.places.storage / MANIFEST).write_bytes(old)
    with pytest.raises(Rollback):
        replica.snapshot()


def test_a_stratum_0_that_moves_on_and_collects_meanwhile_is_followed(server: Server, replica: Replica) -> None:
    last = server.manifest()
    said: list[str] = []

    def move_on(name: ObjectId) -> None:
        if name == last.root_catalog:
            replica.before = lambda _: None
            for number in (3, 4):  # two: the one before the newest has a tag
                changed(server, number)
            Collection(server_keeper(server), Keep(revisions=0)).run(server.fqrn)

    replica.before = move_on
    done = replica.snapshot(say=said.append)
    assert done.revision == last.revision + 2
    assert "moved on to revision" in said[0]
    assert replica.faults() == []
    assert replica.document(MANIFEST) == (server.places.storage / MANIFEST).read_bytes()


def test_contents_that_are_collected_meanwhile_are_not_taken_for_copied(server: Server, replica: Replica) -> None:
    last = server.manifest()
    (own,) = [name for name in server.objects() if stored(server, name) == content(server, "nested/own")]

    def move_on(name: ObjectId) -> None:
        if name == own:
            replica.before = lambda _: None
            for number in (3, 4):
                changed(server, number)
            Collection(server_keeper(server), Keep(revisions=0)).run(server.fqrn)

    replica.before = move_on
    assert replica.snapshot().revision == last.revision + 2
    assert replica.faults() == []
    assert last.root_catalog not in replica.objects()


def test_a_revision_between_that_is_not_whole_any_more_is_left_out(server: Server, replica: Replica) -> None:
    replica.snapshot()
    for number in (3, 4, 5):
        changed(server, number)
        if number == 3:
            between = server.manifest().root_catalog
            (own,) = [name for name in server.objects() if stored(server, name) == content(server, "nested/own")]
    (server.places.storage / own.path).unlink()
    done = replica.snapshot()
    assert "is not copied" in done.remarks[0]
    assert between not in replica.objects()
    assert replica.faults() == []


_KILLED = """
import os, sys
from pathlib import Path
from swrepo.publish.layout import ServerLayout
from swrepo.replica.snapshot import Snapshot
from swrepo.upkeep.opening import Keeper
from tests.replicas import Noting
prefix, name, now, last = sys.argv[1:]
left = [int(last)]
def die(_):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), 9)
Snapshot(Keeper(ServerLayout(Path(prefix)), lambda: int(now)), open_origin=lambda wanted: Noting(wanted, [], die)).run(name)
"""


@pytest.mark.parametrize("last", [4, 12])
def test_killed_half_way_it_shows_what_it_showed_and_goes_on(server: Server, replica: Replica, last: int) -> None:
    words = [str(replica.layout.prefix), replica.places.fqrn, str(server.clock.ns), str(last)]
    done = subprocess.run([sys.executable, "-c", _KILLED, *words], check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    assert not (replica.places.storage / MANIFEST).exists()
    assert replica.places.unsettled.exists()
    here = replica.objects() | {
        name for name in server.objects() if (replica.places.replicating / "catalogs" / name.name).exists()
    }
    assert here
    replica.snapshot()
    assert not set(replica.asked) & here
    assert replica.faults() == []
    assert not replica.places.unsettled.exists()
    assert not replica.places.replicating.exists()


def test_after_a_kill_catalogs_without_their_contents_are_found(server: Server, replica: Replica) -> None:
    replica.snapshot()
    (lost,) = [name for name in replica.objects() if stored(server, name) == b"the same in all"]
    (replica.places.storage / lost.path).unlink()
    replica.snapshot()
    assert replica.asked == []
    replica.places.unsettled.touch()
    replica.snapshot()
    assert replica.asked == [lost]


def test_a_thorough_run_brings_back_what_is_missing(server: Server, replica: Replica) -> None:
    replica.snapshot()
    (lost,) = [name for name in replica.objects() if stored(server, name) == b"the same in all"]
    (replica.places.storage / lost.path).unlink()
    assert replica.faults() != []
    replica.snapshot(thorough=True)
    assert replica.asked == [lost]
    assert replica.faults() == []


def test_two_at_once_are_refused_or_one_waits(server: Server, replica: Replica) -> None:
    with exclusive(replica.places.lock, "something"), pytest.raises(Busy, match="something"):
        replica.snapshot()
    with exclusive(replica.places.lock, "something"), pytest.raises(Busy):  # a first copy is not waited for
        replica.snapshot(waiting=lambda _: pytest.fail("waits"))


def test_garbage_of_a_copy_is_collected_and_what_is_published_stays(server: Server, replica: Replica) -> None:
    replica.snapshot()
    for number in (3, 4, 5):
        changed(server, number)
        replica.snapshot()
    before = replica.objects()
    found = Collection(replica.keeper, Keep(revisions=0)).run(replica.places.fqrn)
    assert found.swept_revisions > 0
    assert replica.objects() < before
    assert replica.faults() == []
    Collection(server_keeper(server), Keep(revisions=0)).run(server.fqrn)
    replica.snapshot()
    assert replica.faults() == []
    Collection(replica.keeper, Keep(revisions=0)).run(replica.places.fqrn)
    assert replica.objects() == server.objects()


def test_the_server_says_what_it_has_a_copy_of(tmp_path: Path, server: Server) -> None:
    replica = Replica(tmp_path / "stratum1", server, alias="copy.example.org", group="hourly", auto_gc=True)
    replica.snapshot()
    assert replica.faults() == []
    text = (replica.places.configuration / "server.conf").read_text()
    assert "CVMFS_REPOSITORY_TYPE=stratum1\n" in text
    assert "CVMFS_REPOSITORY_NAME=sw.example.org\n" in text
    assert replica_settings.load(replica.places).group == "hourly"
    listed = json.loads((replica.layout.served / "info/v1/repositories.json").read_text())
    assert listed["repositories"] == []
    assert listed["replicas"] == [{"name": "sw.example.org", "url": "/cvmfs/copy.example.org"}]
    with pytest.raises(UsageError, match="already"):
        Replica(tmp_path / "stratum1", server, alias="copy.example.org")


def test_a_copy_is_not_made_where_the_repository_is_published(server: Server) -> None:
    with pytest.raises(UsageError, match="-n gives its replica another name"):
        Replica(server.layout.prefix, server)


def test_a_copy_that_is_removed_leaves_the_key(tmp_path: Path, server: Server, replica: Replica) -> None:
    replica.snapshot()
    key = replica.layout.keys / "sw.example.org.pub"
    key.parent.mkdir(parents=True)
    key.touch()
    assert remove_repository(replica.layout, replica.places, preserve=False) == []
    assert key.exists()
    assert not replica.places.storage.exists()
    assert replica.layout.repositories() == []


def test_all_active_copies_of_a_group_are_due_the_one_that_waited_longest_first(tmp_path: Path, server: Server) -> None:
    first = Replica(tmp_path / "stratum1", server, alias="a.example.org")
    second = Replica(tmp_path / "stratum1", server, alias="b.example.org")
    other = Replica(tmp_path / "stratum1", server, alias="c.example.org", group="weekly")
    inactive = Replica(tmp_path / "stratum1", server, alias="d.example.org")
    with inactive.places.replica_conf.open("a") as file:
        file.write("CVMFS_REPLICA_ACTIVE=no\n")
    layout = first.layout
    assert every.due(layout, "", skip_initial=False) == ["a.example.org", "b.example.org"]
    assert every.due(layout, "", skip_initial=True) == []
    assert every.due(layout, "weekly", skip_initial=False) == [other.places.fqrn]
    first.snapshot()
    server.clock.ns += 10**9 * 60
    second.snapshot()
    assert every.due(layout, "", skip_initial=True) == ["a.example.org", "b.example.org"]
    server.clock.ns += 10**9 * 60
    first.snapshot()
    assert every.due(layout, "", skip_initial=True) == ["b.example.org", "a.example.org"]


def test_no_more_runs_over_all_copies_than_are_allowed(tmp_path: Path, server: Server, replica: Replica) -> None:
    with every.one_of_few(replica.layout, 2), every.one_of_few(replica.layout, 2), pytest.raises(Busy, match="2 runs"):
        every.one_of_few(replica.layout, 2).__enter__()
    assert every.most_runs(replica.layout, "3") == 3
    (replica.layout.prefix / "etc/cvmfs/server.local").write_text("CVMFS_MAX_PARALLEL_SNAPSHOTS=5\n")
    assert every.most_runs(replica.layout, None) == 5


def test_settings_of_the_original_are_read(tmp_path: Path, replica: Replica) -> None:
    replica.places.server_conf.write_text(
        "# Created by cvmfs_server.\nCVMFS_CREATOR_VERSION=143\nCVMFS_REPOSITORY_NAME=cms.cern.ch\n"
        "CVMFS_REPOSITORY_TYPE=stratum1\nCVMFS_USER=root\nCVMFS_SPOOL_DIR=/var/spool/cvmfs/cms.cern.ch\n"
        "CVMFS_STRATUM0=http://cvmfs-stratum-zero.cern.ch/cvmfs/cms.cern.ch\n"
        "CVMFS_STRATUM1=http://localhost/cvmfs/cms.cern.ch\n"
        "CVMFS_UPSTREAM_STORAGE=local,/srv/cvmfs/cms.cern.ch/data/txn,/srv/cvmfs/cms.cern.ch\nCVMFS_SNAPSHOT_GROUP=\n"
    )
    replica.places.replica_conf.write_text(
        "# Created by cvmfs_server.\nCVMFS_NUM_WORKERS=32\nCVMFS_PUBLIC_KEY=/etc/cvmfs/keys/cern.ch:/k.pub\n"
        "CVMFS_HTTP_TIMEOUT=10\nCVMFS_HTTP_RETRIES=3\n"
    )
    assert replica_settings.load(replica.places) == ReplicaSettings(
        "cms.cern.ch",
        "root",
        "http://cvmfs-stratum-zero.cern.ch/cvmfs/cms.cern.ch",
        "http://localhost/cvmfs/cms.cern.ch",
        (Path("/etc/cvmfs/keys/cern.ch"), Path("/k.pub")),
        workers=32,
    )


def server_keeper(server: Server) -> Keeper:
    return Keeper(server.layout, server.clock.nanoseconds)


def stored(server: Server, name: ObjectId) -> bytes:
    """The plain bytes of a file's object; nothing for others."""
    if name.kind is not Kind.FILE:
        return b""
    return zlib.decompress((server.places.storage / name.path).read_bytes())


def content(server: Server, name: str) -> bytes:
    return (server.tree / name).read_bytes()
