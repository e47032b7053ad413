"""The configuration repository: read without a mount, in its place in the cascade, with its keys and its blacklist."""

import pytest

from swrepo.client.access import open_access
from swrepo.client.opening import access_request, sources
from swrepo.client.places import places_in
from swrepo.client.selection import Given, select
from swrepo.client.target import Target
from swrepo.errors import ConfigError, RevisionBlacklisted
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.layout import ServerLayout
from swrepo.publish.transaction import Publisher

CONFIG = "config.example.org"
FQRN = "sw.example.org"


class World:
    """Two repositories on a server that is a directory, and a client's machine."""

    def __init__(self, root):
        self.server = root / "server"
        for name in (CONFIG, FQRN):
            create_repository(ServerLayout(self.server), name, CreateOptions())
        self.tree = self.server / "cvmfs" / CONFIG / "etc/cvmfs"
        self.machine = root / "machine"
        self.etc = self.machine / "etc/cvmfs"
        self.write("default.d/50-config.conf", f"CVMFS_CONFIG_REPOSITORY={CONFIG}\n")
        self.write(
            f"config.d/{CONFIG}.conf", f"CVMFS_SERVER_URL={self.url(CONFIG)}\nCVMFS_PUBLIC_KEY={self.key(CONFIG)}\n"
        )

    def url(self, name):
        return (self.server / "srv/cvmfs" / name).as_uri()

    def key(self, name):
        return self.server / "etc/cvmfs/keys" / f"{name}.pub"

    def write(self, name, text):
        path = self.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def publish(self, **files):
        for name, content in files.items():
            path = self.tree / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        Publisher(ServerLayout(self.server)).publish(CONFIG)

    def publish_domain(self, text, **files):
        (self.tree / "domain.d").mkdir(parents=True, exist_ok=True)
        (self.tree / "domain.d/example.org.conf").write_text(text)
        (self.tree / "keys/example.org").mkdir(parents=True, exist_ok=True)
        (self.tree / "keys/example.org/sw.pub").write_bytes(self.key(FQRN).read_bytes())
        self.publish(**files)

    def select(self, name=FQRN):
        places = places_in({"SWREPO_PREFIX": str(self.machine)})
        return select(Target(None, name, b""), Given(), places, sources(places))


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_servers_and_keys_come_from_the_configuration_repository(world):
    keys = f"/cvmfs/{CONFIG}/etc/cvmfs/keys/example.org"
    world.publish_domain(f'CVMFS_SERVER_URL="{world.url(FQRN)}"\nCVMFS_KEYS_DIR={keys}\n')
    selection = world.select()
    assert selection.urls == (world.url(FQRN),)
    with open_access(access_request(selection, {})) as access:
        assert access.fqrn == FQRN


def test_a_new_revision_of_it_replaces_the_copy_of_the_old_one(world):
    world.publish_domain(
        "CVMFS_SERVER_URL=http://one\nCVMFS_KEYS_DIR=$CVMFS_MOUNT_DIR/cvmfs/$CVMFS_CONFIG_REPOSITORY/etc/cvmfs/keys/example.org\n"
    )
    assert world.select().urls == ("http://one",)
    world.publish_domain(f"CVMFS_SERVER_URL=http://two\nCVMFS_KEYS_DIR=/cvmfs/{CONFIG}/etc/cvmfs/keys/example.org\n")
    assert world.select().urls == ("http://two",)
    assert len(list((world.machine / "var/lib/cvmfs/config-repository" / CONFIG).iterdir())) == 1


def test_files_of_the_machine_win_over_it_step_by_step(world):
    world.publish_domain(
        f"CVMFS_SERVER_URL=http://repository\nCVMFS_KEYS_DIR=/cvmfs/{CONFIG}/etc/cvmfs/keys/example.org\nA=domain\n"
    )
    world.write("default.local", "A=local\nB=local\n")
    (world.tree / "default.conf").write_text("B=repository\nC=repository\n")
    world.publish()
    assert {name: world.select().variables[name] for name in "ABC"} == {"A": "domain", "B": "local", "C": "repository"}
    world.write("domain.d/example.org.local", "CVMFS_SERVER_URL=http://machine\n")
    assert world.select().urls == ("http://machine",)


def test_its_blacklist_counts(world):
    keys = f"/cvmfs/{CONFIG}/etc/cvmfs/keys/example.org"
    world.publish_domain(f'CVMFS_SERVER_URL="{world.url(FQRN)}"\nCVMFS_KEYS_DIR={keys}\n', blacklist=f"<{FQRN} 9\n")
    with pytest.raises(RevisionBlacklisted), open_access(access_request(world.select(), {})):
        pass


def test_without_it_the_rest_holds_and_a_warning_says_so(world, expected_warnings):
    world.write(f"config.d/{FQRN}.conf", f"CVMFS_SERVER_URL=http://machine\nCVMFS_PUBLIC_KEY={world.key(FQRN)}\n")
    world.write(f"config.d/{CONFIG}.conf", f"CVMFS_SERVER_URL=file:///nowhere\nCVMFS_PUBLIC_KEY={world.key(CONFIG)}\n")
    expected_warnings(f"the configuration repository {CONFIG} is left out")
    assert world.select().urls == ("http://machine",)


def test_where_it_is_required_nothing_goes_without_it(world, expected_warnings):
    expected_warnings("is left out")
    world.write("default.local", "CVMFS_CONFIG_REPO_REQUIRED=yes\n")
    world.write(f"config.d/{CONFIG}.conf", f"CVMFS_SERVER_URL=file:///nowhere\nCVMFS_PUBLIC_KEY={world.key(CONFIG)}\n")
    with pytest.raises(ConfigError, match=f"the configuration repository {CONFIG} is required"):
        world.select()


def test_it_can_be_named_in_the_default_files_only(world, expected_warnings):
    world.publish_domain("A=1\n")
    world.write("default.local", "CVMFS_CONFIG_REPOSITORY=other.example.org\nCVMFS_SERVER_URL=http://x\n")
    world.write("keys/any.pub", world.key(FQRN).read_text())
    expected_warnings("can be set in default.conf and default.d only")
    assert world.select().variables["CVMFS_CONFIG_REPOSITORY"] == CONFIG


def test_its_files_may_read_others_of_it(world):
    world.publish_domain(". ../common.conf\n", common__conf="")
    (world.tree / "common.conf").write_text("CVMFS_SERVER_URL=http://common\n")
    world.write("keys/any.pub", world.key(FQRN).read_text())
    world.publish()
    assert world.select().urls == ("http://common",)
