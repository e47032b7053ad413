"""What the configuration says of a mount, seen through real mounts."""

import os
import pwd
import stat
import time

import pytest

from swrepo.errors import ConfigError
from swrepo.web.serve import serving
from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import wait_until

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened"),
]


@pytest.fixture
def client(tmp_path):
    found = Machine(tmp_path)
    yield found
    found.unmount()


def test_maps_of_owners_and_readable_for_all(client):
    published = (client.server / "cvmfs" / FQRN / "secret").stat()
    uids, gids = client.prefix / "uids", client.prefix / "gids"
    uids.write_text(f"{published.st_uid} 4711\n")
    gids.write_text("* 4712\n")
    client.configure("default.local", CVMFS_UID_MAP=uids, CVMFS_GID_MAP=gids, CVMFS_WORLD_READABLE="yes")
    client.mount()
    shown = (client.point / "secret").stat()
    assert (shown.st_uid, shown.st_gid, stat.S_IMODE(shown.st_mode)) == (4711, 4712, 0o644)
    with os.scandir(client.point) as entries:
        assert {entry.stat().st_uid for entry in entries} == {4711}


def test_what_is_claimed_belongs_to_who_mounts(client):
    os.chown(client.server / "cvmfs" / FQRN / "secret", -1, -1)
    client.mount("-o", "CVMFS_CLAIM_OWNERSHIP=yes")
    shown = (client.point / "secret").stat()
    assert (shown.st_uid, shown.st_gid) == (os.getuid(), os.getgid())


def test_the_control_socket_lies_in_the_workspace_and_is_found_there(client):
    client.configure("default.local", CVMFS_WORKSPACE=client.prefix / "work")
    client.mount()
    assert [path.name for path in (client.prefix / "work").iterdir() if path.is_socket()] == [f"cvmfs_io.{FQRN}"]
    assert client.run("swrepo", "talk", client.point, "revision") == "2\n"
    assert client.run("cvmfs_talk", "-i", FQRN, "revision") == "2\n"
    client.run("swrepo", "umount", client.point)
    wait_until(lambda: not any(path.is_socket() for path in (client.prefix / "work").iterdir()))


def test_a_cache_that_cannot_be_had_is_refused_with_what_to_take_instead(client):
    client.configure("default.local", CVMFS_STREAMING_CACHE="yes")
    client.mount(code=ConfigError.exit_code)
    assert "take a cache in memory (CVMFS_CACHE_PRIMARY=memory" in client.shown.stderr
    memory = {"CVMFS_CACHE_PRIMARY": "memory", "CVMFS_CACHE_memory_TYPE": "ram", "CVMFS_CACHE_memory_SIZE": "500"}
    client.configure("default.local", **memory)
    client.mount()
    assert (client.point / "hello").read_text() == "hello\n"


def test_the_log_and_the_control_socket_are_where_the_configuration_says(client):
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    log, everything, socket = (client.prefix / name for name in ("log", "debug", "talk"))
    client.configure(
        "default.local",
        CVMFS_USYSLOG=log,
        CVMFS_DEBUGLOG=everything,
        CVMFS_SYSLOG_PREFIX="site",
        CVMFS_TALK_SOCKET=socket,
        CVMFS_TALK_OWNER=owner.pw_name,
    )
    client.mount()
    assert (socket.stat().st_uid, socket.stat().st_gid) == (owner.pw_uid, owner.pw_gid)
    before = client.run("swrepo", "talk", "--socket", socket, client.point, "revision")
    client.publish("news", "new\n")
    assert "follows" in client.run("swrepo", "talk", "--socket", socket, client.point, "remount")
    assert before != client.run("swrepo", "talk", "--socket", socket, client.point, "revision")
    assert "(site) " in log.read_text()
    assert "follows" in log.read_text()
    assert everything.exists()


def test_without_updates_a_mount_stays_at_its_revision(client):
    client.configure("default.local", CVMFS_AUTO_UPDATE="no")
    client.mount()
    client.publish("news", "new\n")
    assert "fixed at revision" in client.run("swrepo", "talk", client.point, "remount")
    assert not (client.point / "news").exists()


def test_a_date_fixes_the_revision_that_was_tagged_then(client):
    client.run("swrepo", "mount", FQRN, client.point, "-o", "CVMFS_REPOSITORY_DATE=1999-01-01", code=4)
    assert "no tag as old as 1999" in client.shown.stderr
    client.configure(
        "default.local", CVMFS_REPOSITORY_DATE=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    )
    client.mount()
    assert (client.point / "secret").exists()


def test_a_parameter_that_cannot_be_honoured_safely_stops_the_mount(client):
    client.configure("default.local", CVMFS_NFS_SOURCE="yes")
    client.mount(code=3)
    assert "CVMFS_NFS_SOURCE=yes is refused" in client.shown.stderr
    assert "default.local:1" in client.shown.stderr


def test_only_listed_repositories_are_mounted_where_the_configuration_is_strict(client):
    client.configure("default.local", CVMFS_STRICT_MOUNT="yes", CVMFS_REPOSITORIES="other.example.org")
    client.mount(code=3)
    assert "CVMFS_STRICT_MOUNT" in client.shown.stderr


def test_a_short_name_gets_the_default_domain(client):
    client.configure("default.local", CVMFS_DEFAULT_DOMAIN="example.org")
    client.run("mount.cvmfs", "sw", client.point)
    assert (client.point / "secret").stat().st_size == 7


def test_a_server_that_announces_its_revisions_is_heard(client):
    with serving([client.server / "srv/cvmfs"]) as url:
        client.configure("default.local", CVMFS_NOTIFICATION_SERVER=url.removesuffix("/cvmfs") + "/api/v1")
        client.mount()
        assert not (client.point / "news").exists()
        client.publish("news", "new\n")
        wait_until((client.point / "news").exists)
        heard = ("swrepo", "server", "notify", "-s", "-u", url.removesuffix("/cvmfs") + "/api/v1", "-t", FQRN)
        assert client.run(*heard) == f"repository {FQRN} is now at revision 3.\n"
        client.run("swrepo", "umount", client.point)
