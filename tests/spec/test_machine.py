"""What machines made from our images do at boot."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from swrepo.cli.main import main
from swrepo.errors import ConfigError
from swrepo.machine import addresses, client, identity, message, server, settings, volume
from swrepo.machine.settings import MachineSettings
from swrepo.machine.volume import Volume
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.layout import ServerLayout

NEW_ID = "0123456789abcdef0123456789abcdef"


class Disk:
    """The file system of a machine."""

    def __init__(self, root):
        self.root = root
        self.write("etc/machine-id", "old\n")
        self.write("etc/ssh/ssh_host_ed25519_key", "private")
        self.write("etc/ssh/sshd_config", "configuration")
        self.write("etc/cvmfs/keys/a.example.org.pub", "key")
        self.write("var/lib/cvmfs/shared/00/object", "cached")
        self.write("srv/cvmfs/a.example.org/.cvmfspublished", "manifest")
        self.write("var/lib/swrepo/usage.json", "{}")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def starts_on(self, uuid):
        self.write("sys/class/dmi/id/product_uuid", uuid + "\n")
        return identity.renew(self.root, NEW_ID)

    def has(self, name):
        return (self.root / name).exists()


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


def test_the_first_boot_changes_nothing(disk):
    assert not disk.starts_on("A").renewed
    assert (disk.root / "etc/machine-id").read_text() == "old\n"
    assert disk.has("etc/ssh/ssh_host_ed25519_key")


def test_a_reboot_changes_nothing(disk):
    disk.starts_on("A")
    assert not disk.starts_on("A").renewed
    assert disk.has("var/lib/cvmfs/shared/00/object")


def test_a_snapshot_on_another_machine_gets_an_identity_of_its_own(disk):
    disk.starts_on("A")
    found = disk.starts_on("B")
    assert found.renewed
    assert (disk.root / "etc/machine-id").read_text() == NEW_ID + "\n"
    assert not disk.has("etc/ssh/ssh_host_ed25519_key")
    assert "etc/ssh/ssh_host_ed25519_key" in found.removed


def test_what_people_set_up_and_what_is_published_stays(disk):
    disk.starts_on("A")
    disk.starts_on("B")
    for name in ("etc/ssh/sshd_config", "etc/cvmfs/keys/a.example.org.pub", "srv/cvmfs/a.example.org/.cvmfspublished"):
        assert disk.has(name)


def test_what_was_cached_and_counted_elsewhere_goes(disk):
    disk.starts_on("A")
    disk.starts_on("B")
    assert not disk.has("var/lib/cvmfs/shared")
    assert not disk.has("var/lib/swrepo/usage.json")


def test_a_second_boot_of_the_copy_changes_nothing_more(disk):
    disk.starts_on("A")
    disk.starts_on("B")
    disk.write("etc/ssh/ssh_host_ed25519_key", "new")
    assert not disk.starts_on("B").renewed
    assert disk.has("etc/ssh/ssh_host_ed25519_key")


def test_without_an_identifier_of_the_firmware_the_network_cards_tell(disk):
    disk.write("sys/class/net/ens3/address", "52:54:00:00:00:01\n")
    disk.write("sys/class/net/ens3/device/vendor", "x")
    disk.write("sys/class/net/lo/address", "00:00:00:00:00:00\n")
    assert identity.hardware(disk.root) == "52:54:00:00:00:01"


def test_hardware_that_tells_nothing_is_never_taken_for_another(disk):
    disk.starts_on("A")
    assert not disk.starts_on("00000000-0000-0000-0000-000000000000").renewed


def role(tmp_path, name, text=""):
    for path, content in ((settings.ROLE, name), (settings.SETTINGS, text)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content + "\n")
    return settings.load(tmp_path)


def test_a_server_has_the_sample_repository_if_nothing_is_said(tmp_path):
    assert role(tmp_path, "server").repositories == ("dair.cvmfs.server",)


def test_user_data_name_repositories_and_their_owner(tmp_path):
    found = role(tmp_path, "server", "REPOSITORIES='a.example.org b.example.org'\nOWNER=lab\nVOLUME=/dev/vdc")
    assert found == MachineSettings("server", ("a.example.org", "b.example.org"), "lab", "/dev/vdc")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("toaster", "", "none of our images"),
        ("server", "REPOSITORIES=..", "cannot be a repository's name"),
        ("server", "VOLUME=big", "expected auto, none"),
        ("client", "SEVER=x", "SEVER is not known"),
        ("client", "$(reboot)", "line 1"),
    ],
)
def test_user_data_that_cannot_be_used_are_refused_by_name(tmp_path, name, text, words):
    with pytest.raises(ConfigError, match=words):
        role(tmp_path, name, text)


def test_a_machine_that_is_none_of_ours_is_told_so(tmp_path):
    with pytest.raises(ConfigError, match="none of our images"):
        settings.load(tmp_path)


def test_a_new_server_makes_its_repository_and_publishes_the_sample(tmp_path):
    found = list(server.steps(MachineSettings("server", ("dair.cvmfs.server",)), tmp_path, None))
    assert found[0] == ("swrepo", "server", "mkfs", "-o", "cvmfs", "dair.cvmfs.server")
    assert found[-1] == ("runuser", "-u", "cvmfs", "--", "swrepo", "server", "publish", "dair.cvmfs.server")


def test_another_repository_begins_empty(tmp_path):
    found = list(server.steps(MachineSettings("server", ("a.example.org",)), tmp_path, None))
    assert found == [("swrepo", "server", "mkfs", "-o", "cvmfs", "a.example.org")]


def test_what_is_there_is_not_made_again(tmp_path):
    (tmp_path / "etc/cvmfs/repositories.d/a.example.org").mkdir(parents=True)
    (tmp_path / "etc/cvmfs/repositories.d/a.example.org/server.conf").touch()
    assert not list(server.steps(MachineSettings("server", ("a.example.org",)), tmp_path, None))


def test_keys_that_user_data_bring_are_used(tmp_path):
    (tmp_path / "etc/swrepo/keys").mkdir(parents=True)
    (tmp_path / "etc/swrepo/keys/a.example.org.pub").touch()
    (command,) = server.steps(MachineSettings("server", ("a.example.org",)), tmp_path, None)
    assert command[2:] == ("mkfs", "-o", "cvmfs", "-k", str(tmp_path / "etc/swrepo/keys"), "a.example.org")


def test_a_volume_that_brings_a_repository_is_taken_over(tmp_path):
    steps = server.steps(MachineSettings("server", ("a.example.org",)), tmp_path, Volume("/dev/vdb", is_new=False))
    assert next(steps) == ("mkdir", "-p", "/srv/cvmfs")
    assert next(steps) == ("mount", "/dev/vdb", "/srv/cvmfs")
    (tmp_path / "srv/cvmfs/a.example.org").mkdir(parents=True)  # it is seen once the volume is mounted
    (tmp_path / "srv/cvmfs/a.example.org/.cvmfspublished").touch()
    assert next(steps)[2] == "import"


def disks(*found):
    """What lsblk prints."""
    usual = {"type": "disk", "label": None, "fstype": None, "mountpoints": [None], "size": 8 << 30, "ro": False}
    lines = [{**usual, "pkname": None, "kname": disk["path"].rpartition("/")[2], **disk} for disk in found]
    return json.dumps({"blockdevices": lines})


ROOT_DISK = {"path": "/dev/vda"}
ROOT = {
    "path": "/dev/vda3",
    "pkname": "vda",
    "type": "part",
    "label": "swrepo-root",
    "fstype": "ext4",
    "mountpoints": ["/"],
}
SEED = {"path": "/dev/vdz", "fstype": "vfat", "label": "CIDATA", "ro": True, "size": 1 << 20}
USUAL = (ROOT_DISK, ROOT, SEED)


def test_one_empty_disk_becomes_the_storage():
    assert volume.choose(disks(*USUAL, {"path": "/dev/vdb"}), "auto") == Volume("/dev/vdb", is_new=True)


def test_the_volume_of_an_earlier_server_is_used_as_it_is():
    ours = {"path": "/dev/vdc", "fstype": "ext4", "label": "swrepo-data"}
    assert volume.choose(disks(*USUAL, {"path": "/dev/vdb"}, ours), "auto") == Volume("/dev/vdc", is_new=False)


@pytest.mark.parametrize(
    "others",
    [
        [],
        [{"path": "/dev/vdb", "fstype": "ext4", "label": "somebody's"}],
        [{"path": "/dev/vdb"}, {"path": "/dev/vdb1", "pkname": "vdb", "type": "part"}],
        [{"path": "/dev/vdb", "size": 1 << 20}],
        [{"path": "/dev/vdb", "ro": True}],
        [{"path": "/dev/vdb", "mountpoints": ["/mnt"]}],
        [{"path": "/dev/vdb"}, {"path": "/dev/vdc"}],
        [{"path": "/dev/sr0", "type": "rom"}],
    ],
)
def test_disks_that_might_be_somebodys_are_left_alone(others):
    assert volume.choose(disks(*USUAL, *others), "auto") is None


def test_a_device_that_is_named_is_formatted_only_where_it_is_empty():
    used = {"path": "/dev/vdb", "fstype": "xfs"}
    assert volume.choose(disks(*USUAL, used), "/dev/vdb") == Volume("/dev/vdb", is_new=False)
    assert volume.choose(disks(*USUAL, {"path": "/dev/vdb"}), "/dev/vdb") == Volume("/dev/vdb", is_new=True)
    assert volume.choose(disks(*USUAL, {"path": "/dev/vdb"}), "none") is None


def test_this_machines_own_disks_are_told_in_the_form_that_is_understood():
    if shutil.which("lsblk") is None:
        pytest.skip("lsblk is not installed")
    shown = subprocess.run(volume.LISTING, capture_output=True, text=True, check=False).stdout
    if not shown:
        pytest.skip("lsblk shows no disks here")
    root = subprocess.run(["findmnt", "-no", "SOURCE", "/"], capture_output=True, text=True, check=False).stdout.strip()
    found = volume.choose(shown, "auto")
    assert found is None or found.device != root


def test_a_volume_that_is_in_place_is_not_mounted_again():
    ours = {"path": "/dev/vdb", "fstype": "ext4", "label": "swrepo-data", "mountpoints": ["/srv/cvmfs"]}
    for wanted in ("auto", "/dev/vdb"):
        assert volume.commands(volume.choose(disks(*USUAL, ours), wanted)) == []


def test_only_a_new_volume_gets_a_file_system():
    assert volume.commands(Volume("/dev/vdb", is_new=True))[0][0] == "mkfs.ext4"
    assert all(command[0] != "mkfs.ext4" for command in volume.commands(Volume("/dev/vdb", is_new=False)))


def test_a_client_waits_for_somebody_to_point_it(tmp_path):
    assert not list(client.steps(MachineSettings("client"), tmp_path))


def test_a_client_that_somebody_has_pointed_has_its_repositories_after_each_boot(tmp_path):
    (tmp_path / "etc/cvmfs/default.d").mkdir(parents=True)
    (tmp_path / "etc/cvmfs/default.d/50-point-to-cvmfs.conf").touch()
    assert list(client.steps(MachineSettings("client"), tmp_path)) == [
        ("systemctl", "enable", "--now", "swrepo.target", "swrepo.service")
    ]


def test_a_worker_points_itself_and_asks_for_its_repositories(tmp_path):
    found = MachineSettings("worker", ("a.example.org",), server="s1", proxy="http://p:3128", trust=True)
    steps = list(client.steps(found, tmp_path))
    assert steps[0] == ("PointToCVMFS", "s1", "--yes", "--proxy", "http://p:3128", "--no-mount")
    assert steps[-1] == ("ls", "/cvmfs/a.example.org")


def test_a_worker_trusts_the_keys_that_user_data_bring(tmp_path):
    (tmp_path / "etc/swrepo/keys").mkdir(parents=True)
    (tmp_path / "etc/swrepo/keys/a.example.org.pub").touch()
    first = next(client.steps(MachineSettings("worker", server="s1"), tmp_path))
    assert first[2:4] == ("--key", str(tmp_path / "etc/swrepo/keys/a.example.org.pub"))


def test_whoever_logs_in_to_a_server_is_told_what_the_machine_serves(tmp_path):
    layout = ServerLayout(tmp_path)
    create_repository(layout, "a.example.org", CreateOptions())
    text = message.for_server(layout, ["192.0.2.7"])
    for words in ("a.example.org: revision 1", "key ", "192.0.2.7", "PointToCVMFS 192.0.2.7"):
        assert words in text
    assert "REFUSE" not in text


def test_a_server_without_a_repository_says_what_makes_one(tmp_path):
    assert "swrepo machine setup" in message.for_server(ServerLayout(tmp_path), [])


def test_a_client_without_a_server_says_what_to_type():
    assert "sudo PointToCVMFS" in message.for_client(None, "client")
    assert "http://s/cvmfs" in message.for_client("http://s/cvmfs", "client")


def test_the_address_that_others_can_use_comes_first():
    own = ["10.0.2.15", "fec0::5054:ff:fe77:101", "2001:db8::7", "10.77.0.1"]
    assert addresses.ranked(own, "")[:2] == ["10.77.0.1", "2001:db8::7"]
    assert addresses.ranked(own, "203.0.113.9")[:2] == ["203.0.113.9", "10.77.0.1"]
    assert addresses.ranked(["10.0.2.15"], "") == ["10.0.2.15"]
    assert addresses.ranked(["192.0.2.1"], "192.0.2.1") == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"ds": {"ec2_metadata": {"local-ipv4": "10.0.0.5", "public-ipv4": "203.0.113.9"}}}, "203.0.113.9"),
        ({"ds": {"meta_data": [{"public-ipv4": ""}]}}, ""),
        ({"ds": {"meta_data": {}}}, ""),
        ([], ""),
    ],
)
def test_the_public_address_is_the_one_that_the_cloud_told(tmp_path, told, found):
    (tmp_path / "run/cloud-init").mkdir(parents=True)
    (tmp_path / "run/cloud-init/instance-data.json").write_text(json.dumps(told))
    assert addresses.public(tmp_path) == found


class Kernel:
    """What the kernel of a machine tells, and who uses what."""

    def __init__(self, root):
        self.root = root

    def counted(self, boot, age, *, uses=None):
        """The machine's timer counts."""
        process = self.root / "proc/77"
        shutil.rmtree(process, ignore_errors=True)
        if uses is not None:
            (process / "fd").mkdir(parents=True)
            (process / "fd/3").symlink_to(uses)
        for name, text in (("sys/kernel/random/boot_id", boot), ("uptime", f"{age} 0.00")):
            (self.root / "proc" / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / "proc" / name).write_text(f"{text}\n")
        assert main(["machine", "usage", "--count", "--root", str(self.root)]) == 0


def test_boots_and_hours_of_use_are_counted_over_all_boots(tmp_path, capsys):
    kernel = Kernel(tmp_path)
    kernel.counted("first", 20)
    kernel.counted("first", 320, uses="/cvmfs/a.example.org/bin/python3")
    kernel.counted("first", 620, uses="/usr/bin/python3")
    kernel.counted("second", 20)
    kernel.counted("second", 3620, uses="/cvmfs/a.example.org/bin/python3")
    assert main(["machine", "usage", "--root", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for line in (
        "swrepo_machine_boots_total 2",
        "swrepo_machine_up_seconds_total 4240.0",
        "swrepo_machine_use_seconds_total 3900.0",
        "# UNIT swrepo_machine_up_seconds seconds",
        "# EOF",
    ):
        assert line in shown.splitlines()


@pytest.mark.parametrize("kept", ["", "{", '{"boots": "many"}', "[]"])
def test_counters_that_cannot_be_read_begin_again(tmp_path, capsys, kept):
    (tmp_path / "var/lib/swrepo").mkdir(parents=True)
    (tmp_path / "var/lib/swrepo/usage.json").write_text(kept)
    Kernel(tmp_path).counted("first", 20)
    assert main(["machine", "usage", "--json", "--root", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"boots": 1, "up": 20.0, "used": 0.0}
