"""`swrepo mount`, `talk`, `umount`, `mount.cvmfs` and PointToCVMFS as programs, with a server, on the real kernel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from swrepo.errors import ConfigError, MountFailed, NotFound, TrustError, Unreachable, UsageError
from swrepo.fuse.mount import mounted_at, umount
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.layout import ServerLayout
from swrepo.publish.transaction import Publisher
from swrepo.trust.keys import PublicKey
from swrepo.web.serve import serving

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened"),
]
FQRN = "sw.example.org"
OTHER = "other.example.org"
PROGRAMS = Path(sys.executable).parent


class World:
    """A server (in this process) and a client (programs with SWREPO_PREFIX of their own)."""

    def __init__(self, server, client, url):
        self.server = server
        self.client = client
        self.url = url
        self.host = url.removeprefix("http://").removesuffix("/cvmfs")
        self.shown = None

    def publish(self, name, text, fqrn=FQRN):
        (self.server / "cvmfs" / fqrn / name).write_text(text)
        Publisher(ServerLayout(self.server)).publish(fqrn)

    def key(self, fqrn=FQRN):
        return self.server / "etc/cvmfs/keys" / f"{fqrn}.pub"

    def run(self, program, *words, code=0, cwd=None, stdin=subprocess.DEVNULL):
        self.shown = subprocess.run(
            [PROGRAMS / program, *map(str, words)],
            env={"PATH": os.environ["PATH"], "SWREPO_PREFIX": str(self.client)},
            capture_output=True,
            text=True,
            stdin=stdin,
            cwd=cwd,
            timeout=60,
            check=False,
        )
        assert self.shown.returncode == code, self.shown.stderr
        return self.shown.stdout


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    server = tmp_path_factory.mktemp("server")
    for fqrn in (FQRN, OTHER):
        create_repository(ServerLayout(server), fqrn, CreateOptions())
    with serving([server / "srv/cvmfs"]) as url:
        yield server, url


@pytest.fixture
def world(published, tmp_path):
    found = World(published[0], tmp_path / "client", published[1])
    found.publish("hello", "hello\n")
    found.client.mkdir()
    yield found
    for point in (found.client / "cvmfs", found.client / "mnt"):
        if mounted_at(str(point)) is not None:
            umount(str(point), lazy=True)


@pytest.fixture
def point(world):
    directory = world.client / "mnt"
    directory.mkdir()
    return directory


def mount_one(world, point, *words, **checks):
    return world.run("swrepo", "mount", f"{world.url}/{FQRN}", point, "--key", world.key(), *words, **checks)


def test_keys_cache_and_directory_are_meant_from_where_one_is(world, point):
    (world.client / "trusted.pub").write_bytes(world.key().read_bytes())
    words = ("--key", "trusted.pub", "--cache", "cache", f"{world.url}/{FQRN}", "mnt")
    world.run("swrepo", "mount", *words, cwd=world.client)
    assert (point / "hello").read_text() == "hello\n"
    assert (world.client / "cache").is_dir()
    world.run("swrepo", "umount", "mnt", cwd=world.client)


def test_mount_returns_when_the_mount_answers_and_umount_takes_it_away(world, point):
    mount_one(world, point)
    assert (point / "hello").read_text() == "hello\n"
    world.run("swrepo", "umount", point)
    assert mounted_at(str(point)) is None


def test_a_mount_is_told_to_show_a_new_revision(world, point):
    mount_one(world, point)
    assert "news" not in os.listdir(point)
    world.publish("news", "new\n")
    assert "follows" in world.run("swrepo", "talk", point, "remount")
    assert (point / "news").read_text() == "new\n"
    (world.server / "cvmfs" / FQRN / "news").unlink()


def test_a_mount_is_found_by_its_repository_name_too(world, point):
    mount_one(world, point)
    assert world.run("swrepo", "talk", FQRN, "mountpoint") == f"{point}\n"
    world.run("swrepo", "talk", FQRN, "nonsense", code=1)


def test_a_mount_with_a_cache_of_its_own_is_found_with_and_without_it(world, point, tmp_path):
    mount_one(world, point, "--cache", tmp_path / "own")
    pid = world.run("swrepo", "talk", point, "--cache", tmp_path / "own", "pid")
    assert int(pid) > 1
    assert world.run("swrepo", "talk", point, "pid") == pid


def test_why_nothing_could_be_mounted_is_one_line(world, point):
    mount_one(world, point / "nowhere", code=MountFailed.exit_code)
    assert world.shown.stderr.count("\n") == 1
    world.run(
        "swrepo", "mount", "http://127.0.0.1:1/cvmfs/x.org", point, "--key", world.key(), code=Unreachable.exit_code
    )
    mount_one(world, f"{point}", "-o", "nonsense", code=UsageError.exit_code)
    world.run("swrepo", "mount", f"{world.url}/{FQRN}", point, code=ConfigError.exit_code)
    world.run("swrepo", "mount", f"{world.url}/{FQRN}/inside", point, "--key", world.key(), code=UsageError.exit_code)


def test_mount_cvmfs_mounts_what_the_configuration_knows(world, point):
    world.run("PointToCVMFS", world.host, "--key", world.key(), "--no-mount")
    world.run("mount.cvmfs", FQRN, point, "-o", "rw,nofail")
    assert (point / "hello").read_text() == "hello\n"


def test_point_to_cvmfs_shows_each_repository_when_it_is_touched(world):
    shown = world.run("PointToCVMFS", world.host, "--key", world.key())
    assert f"ls {world.client}/cvmfs/{FQRN}" in shown
    assert os.listdir(world.client / "cvmfs") == []
    assert (world.client / "cvmfs" / FQRN / "hello").read_text() == "hello\n"
    assert os.listdir(world.client / "cvmfs") == [FQRN]
    assert not (world.client / "cvmfs/nothing").exists()
    assert not (world.client / "cvmfs/nobody.example.org").exists()


def test_point_to_cvmfs_again_refreshes_at_once(world):
    world.run("PointToCVMFS", world.host, "--key", world.key())
    directory = world.client / "cvmfs" / FQRN
    assert "late" not in os.listdir(directory)
    world.publish("late", "late\n")
    world.run("PointToCVMFS", world.host)
    assert (directory / "late").read_text() == "late\n"
    (world.server / "cvmfs" / FQRN / "late").unlink()


def test_point_to_cvmfs_names_what_it_cannot_trust(world):
    assert f"{OTHER}: NOT TRUSTED" in world.run("PointToCVMFS", world.host, "--key", world.key(), "--no-mount")


def test_point_to_cvmfs_refuses_a_server_of_which_nothing_can_be_trusted(world, tmp_path, published):
    strange = tmp_path / "strange"
    create_repository(ServerLayout(strange), "strange.example.org", CreateOptions())
    key = strange / "etc/cvmfs/keys/strange.example.org.pub"
    world.run("PointToCVMFS", world.host, "--key", key, code=TrustError.exit_code)
    assert "copy their public keys" in world.shown.stderr
    assert mounted_at(str(world.client / "cvmfs")) is None


def test_point_to_cvmfs_shows_the_fingerprints_of_offered_keys_and_trusts_none_unasked(world):
    world.run("PointToCVMFS", world.host, code=TrustError.exit_code)
    for fqrn in (FQRN, OTHER):
        assert PublicKey.parse(world.key(fqrn).read_bytes()).fingerprint in world.shown.stdout
    assert "give --yes" in world.shown.stderr
    assert not (world.client / "etc").exists()


def test_point_to_cvmfs_trusts_what_it_is_told_to(world):
    world.run("PointToCVMFS", world.host, "--yes")
    assert (world.client / "cvmfs" / FQRN / "hello").read_text() == "hello\n"
    assert (world.client / "cvmfs" / OTHER).is_dir()
    assert "offers a key" not in world.run("PointToCVMFS", world.host)


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", TrustError.exit_code)])
def test_point_to_cvmfs_asks_a_person(world, answer, code):
    ours, theirs = os.openpty()
    os.write(ours, answer.encode() + b"\n")
    world.run("PointToCVMFS", world.host, "--no-mount", stdin=theirs, code=code)
    assert "Are these the publisher's?" in world.shown.stdout
    assert (world.client / "etc/cvmfs/keys" / f"{FQRN}.pub").exists() == (answer == "y")
    os.close(ours)
    os.close(theirs)


def test_point_to_cvmfs_never_takes_another_key_for_a_name_that_has_one(world, published, tmp_path):
    keys = world.client / "etc/cvmfs/keys"
    keys.mkdir(parents=True)
    (keys / f"{FQRN}.pub").write_bytes(world.key(OTHER).read_bytes())
    world.run("PointToCVMFS", world.host, "--yes", code=TrustError.exit_code)
    assert f"another key for {FQRN}" in world.shown.stderr
    assert (keys / f"{FQRN}.pub").read_bytes() == world.key(OTHER).read_bytes()


def test_point_to_cvmfs_goes_on_with_what_is_trusted_when_another_key_is_not(world):
    world.run("PointToCVMFS", world.host, "--key", world.key())
    shown = world.run("PointToCVMFS", world.host)
    assert f"{OTHER}: NOT TRUSTED" in shown
    assert f"{FQRN}: revision" in shown


def test_point_to_cvmfs_leaves_another_file_system_alone(world):
    (world.client / "cvmfs").mkdir()
    words = ["mount", "-t", "tmpfs", "none", world.client / "cvmfs"]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting something else needs root")
    (world.client / "cvmfs" / "something").touch()
    world.run("PointToCVMFS", world.host, "--yes", code=MountFailed.exit_code)
    assert "another file system (tmpfs)" in world.shown.stderr
    (world.client / "cvmfs" / "something").unlink()
    try:
        assert FQRN in world.run("PointToCVMFS", world.host, "--yes"), "a container's empty volume is in nobody's way"
    finally:
        for _ in ("ours", "what is below it"):
            subprocess.run(["umount", "-l", world.client / "cvmfs"], check=False)


def test_point_to_cvmfs_says_what_is_wrong_with_the_server(world, tmp_path):
    world.run("PointToCVMFS", "127.0.0.1:1", "--key", world.key(), code=Unreachable.exit_code)
    world.run("PointToCVMFS", "not/a/host", code=UsageError.exit_code)
    (tmp_path / "empty").mkdir()
    with serving([tmp_path / "empty"]) as url:
        world.run("PointToCVMFS", url, code=NotFound.exit_code)


def test_point_to_cvmfs_forgets_the_cache_of_another_server(world):
    world.run("PointToCVMFS", world.host, "--key", world.key())
    assert (world.client / "cvmfs" / FQRN / "hello").read_text() == "hello\n"
    with serving([world.server / "srv/cvmfs"]) as url:
        assert f"The cache of {world.url} was dropped" in world.run("PointToCVMFS", url)
        assert (world.client / "cvmfs" / FQRN / "hello").read_text() == "hello\n"
