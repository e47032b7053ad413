"""`swrepo cache` and `cvmfs_fsck` as programs, on the cache of a live mount."""

import json
import os

import pytest

from tests.mount.machines import FQRN, Machine

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened"),
]


@pytest.fixture
def machine(tmp_path):
    found = Machine(tmp_path)
    found.configure("default.local", CVMFS_REPOSITORIES=FQRN)
    found.mount()
    assert (found.point / "hello").read_text() == "hello\n"
    yield found
    found.unmount()


@pytest.fixture
def cache(machine):
    return machine.prefix / "var/lib/cvmfs/shared"


def objects(cache):
    return [path for path in cache.glob("??/*") if path.is_file()]


def test_usage_counts_objects_and_bytes(machine, cache):
    found = json.loads(machine.run("swrepo", "cache", "usage", "--json"))
    assert [item["cache"] for item in found] == [str(cache)]
    assert found[0]["objects"] == len(objects(cache)) > 1
    assert 0 < found[0]["pinned"] <= found[0]["bytes"] < found[0]["limit"]
    assert str(cache) in machine.run("swrepo", "cache", "usage", "--cache", cache)


def test_list_names_each_object(machine, cache):
    lines = machine.run("swrepo", "cache", "list").splitlines()
    assert sorted(line.split()[-1] for line in lines) == sorted(map(str, objects(cache)))
    assert {json.loads(line)["path"] for line in machine.run("swrepo", "cache", "list", "--json").splitlines()} == set(
        map(str, objects(cache))
    )


def test_evict_leaves_what_the_mount_uses(machine, cache):
    before = len(objects(cache))
    assert "evicted" in machine.run("swrepo", "cache", "evict", "0")
    assert 0 < len(objects(cache)) < before, "the mount's catalog stays"
    assert (machine.point / "hello").read_text() == "hello\n"
    machine.run("swrepo", "cache", "evict", "-1", code=2)


def test_wipe_leaves_nothing_and_the_mount_goes_on(machine, cache):
    assert "objects were removed" in machine.run("swrepo", "cache", "wipe")
    assert objects(cache) == []
    assert (machine.point / "secret").read_text() == "secret\n"


def test_a_cache_that_is_not_there_is_said_so(machine):
    machine.run("swrepo", "cache", "usage", "--cache", machine.prefix / "nowhere", code=2)
    assert "there is no cache" in machine.shown.stderr


def test_cvmfs_fsck_has_the_exit_codes_of_the_original(machine, cache):
    assert "0 damaged" in machine.run("cvmfs_fsck", "-j", "2", cache)
    victim = objects(cache)[0]
    data = bytearray(victim.read_bytes())
    data[0] ^= 1
    victim.chmod(0o600)
    victim.write_bytes(data)
    assert f"{victim} is damaged" in machine.run("cvmfs_fsck", cache, code=4)
    assert victim.exists()
    assert f"{victim} is damaged, removed" in machine.run("cvmfs_fsck", "-p", "-v", cache, code=1)
    assert not victim.exists()
    machine.run("cvmfs_fsck", cache)
    machine.run("cvmfs_fsck", cache / "nowhere", code=8)
    machine.run("cvmfs_fsck", "-z", cache, code=16)
    machine.run("cvmfs_fsck", "-j", "0", cache, code=16)
