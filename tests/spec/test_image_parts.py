"""Images: what boot code, partition tables, locks and seeds are made of."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path

import pytest
import yaml

from swrepo.errors import ConfigError, FormatError, NotFound, SwrepoError, UsageError
from swrepo.image import lock, programs
from swrepo.image.boot_loader import SECTOR, boot_code
from swrepo.image.disk import Layout
from swrepo.image.filesystem import used_inodes
from swrepo.image.lock import PackageLock
from swrepo.image.recipe import OVERLAYS, RECIPES, mode_of, recipe
from swrepo.image.rootfs import own_sources
from swrepo.image.seed import Seed, Source
from swrepo.image.vm import MachinePlan

BLOCK_LIST = struct.Struct("<QHH")
ROOT = Path(__file__).resolve().parents[2]


def core_image(sectors: int, segment: int = 0x820) -> bytes:
    data = bytearray(b"c" * sectors * SECTOR)
    BLOCK_LIST.pack_into(data, SECTOR - 12, 2, 0, segment)
    return bytes(data)


def test_boot_code_names_the_sectors_where_the_core_image_was_put():
    first, core = boot_code(core_image(60), bytes(SECTOR), 2048)
    assert len(first) == 440
    assert struct.unpack_from("<Q", first, 0x5C) == (2048,)
    assert first[0x66:0x68] == b"\x90\x90"
    assert BLOCK_LIST.unpack_from(core, SECTOR - 12) == (2049, 59, 0x820)
    assert core[SECTOR:] == core_image(60)[SECTOR:]


def test_a_core_image_that_ends_within_a_sector_is_loaded_to_its_end():
    _, core = boot_code(core_image(3) + b"end", bytes(SECTOR), 2048)
    assert BLOCK_LIST.unpack_from(core, SECTOR - 12)[1] == 3


@pytest.mark.parametrize(("core", "boot"), [(core_image(1), bytes(SECTOR)), (core_image(9), b"short")])
def test_a_boot_loader_of_another_make_is_refused(core, boot):
    with pytest.raises(FormatError, match="not one that is known"):
        boot_code(core, boot, 2048)


def test_a_core_image_for_another_segment_is_refused():
    with pytest.raises(FormatError, match="0x900"):
        boot_code(core_image(9, 0x900), bytes(SECTOR), 2048)


def test_partitions_follow_one_another_and_leave_room_for_the_second_table():
    layout = Layout(1 << 30)
    assert layout.bios < layout.efi < layout.root
    assert layout.root + layout.root_size <= layout.size - 34 * SECTOR


def test_the_same_image_has_the_same_identifiers_and_another_has_others():
    assert Layout(1 << 30).script("a") == Layout(1 << 30).script("a")
    assert Layout(1 << 30).script("a") != Layout(1 << 30).script("b")


def test_a_lock_reads_back_as_it_was_written(tmp_path):
    written = PackageLock(1_800_000_000, {"b": "1:2-3", "a": "1"})
    (tmp_path / "server.json").write_text(written.encode())
    assert lock.load(tmp_path / "server.json") == written


@pytest.mark.parametrize("role", RECIPES)
def test_the_lock_that_comes_with_the_source_names_all_that_a_recipe_wants(role):
    found = lock.load(ROOT / f"packaging/images/{role}.json")
    assert set(RECIPES[role].packages) <= set(found.packages)


def test_a_lock_names_what_differs_and_how_to_renew_it():
    with pytest.raises(SwrepoError, match="a: locked 1, installed 2\n") as caught:
        PackageLock(0, {"a": "1", "b": "1", "c": "1"}).check({"a": "2", "b": "1", "d": "1"})
    assert "c: locked 1, installed not" in str(caught.value)
    assert "d: locked out, installed 1" in str(caught.value)
    assert "--update-lock" in str(caught.value)


def test_a_lock_pins_every_package():
    assert "Package: a\nPin: version 1:2-3\nPin-Priority: 1001\n" in PackageLock(0, {"a": "1:2-3"}).preferences()


@pytest.mark.parametrize("text", ["", "[]", '{"epoch": 1}', '{"epoch": "x", "packages": {}, "suite": "s"}', "\0"])
def test_a_file_that_is_no_lock_is_refused(tmp_path, text):
    (tmp_path / "x").write_text(text)
    with pytest.raises(ConfigError, match="no lock file"):
        lock.load(tmp_path / "x")


def test_a_lock_that_is_missing_says_how_to_make_it(tmp_path):
    with pytest.raises(NotFound, match="--update-lock"):
        lock.load(tmp_path / "x")


def test_installed_packages_are_those_that_dpkg_says_are_installed(tmp_path):
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    status = "Package: a\nStatus: install ok installed\nVersion: 1\nDescription: x\n y: z\n\n"
    status += "Package: gone\nStatus: deinstall ok config-files\nVersion: 2\n"
    (tmp_path / "var/lib/dpkg/status").write_text(status)
    assert lock.installed_in(tmp_path) == {"a": "1"}


@pytest.mark.parametrize(
    ("system", "sources", "usable"),
    [
        ("ID=debian", "debian.sources", True),
        ('ID="debian"', "debian.sources", True),
        ("ID=ubuntu\nID_LIKE=debian", "debian.sources", False),
        ("ID=debian", "others.sources", False),
    ],
)
def test_a_machine_lends_its_sources_only_where_it_is_a_debian(tmp_path, system, sources, usable):
    (tmp_path / "etc/apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text(system + "\n")
    path = tmp_path / "etc/apt/sources.list.d" / sources
    path.write_text("Types: deb\n")
    if usable:
        assert own_sources(tmp_path) == str(path)
    else:
        with pytest.raises(ConfigError, match=r"--mirror URL .*debian-archive-keyring"):
            own_sources(tmp_path)


def test_a_seed_tells_who_may_log_in_and_which_files_there_are():
    seed = Seed(
        "i-1", "client", "ssh-ed25519 AAAA", {"/etc/swrepo/machine.conf": "SERVER=s\n"}, {"52:54": "10.77.0.2/24"}
    )
    documents = seed.documents()
    assert json.loads(documents["meta-data"]) == {"instance-id": "i-1", "local-hostname": "client"}
    user = documents["user-data"]
    assert user.startswith("#cloud-config\n")
    told = json.loads(user.partition("\n")[2])
    assert told["ssh_authorized_keys"] == ["ssh-ed25519 AAAA"]
    assert told["write_files"][0] == {
        "path": "/etc/swrepo/machine.conf",
        "content": "SERVER=s\n",
        "permissions": "0600",
    }
    assert json.loads(documents["network-config"])["ethernets"]["card0"]["addresses"] == ["10.77.0.2/24"]
    assert "write_files" not in Seed("i-1", "client", "ssh-ed25519 AAAA").documents()["user-data"]


def test_a_seed_as_a_config_drive_tells_the_same():
    cards = {"52:54:01": "dhcp", "52:54:02": "10.77.0.2/24"}
    seed = Seed("i-1", "client", "ssh-ed25519 AAAA", {"/x": "y"}, cards, Source.CONFIG_DRIVE)
    documents = seed.documents()
    about = json.loads(documents["openstack/latest/meta_data.json"])
    assert about == {"uuid": "i-1", "hostname": "client", "name": "client", "public_keys": {"mine": "ssh-ed25519 AAAA"}}
    plain = Seed("i-1", "client", "ssh-ed25519 AAAA", {"/x": "y"}, cards)
    assert documents["openstack/latest/user_data"] == plain.documents()["user-data"]
    network = json.loads(documents["openstack/latest/network_data.json"])
    assert [link["ethernet_mac_address"] for link in network["links"]] == list(cards)
    first, second = network["networks"]
    assert first["type"] == "ipv4_dhcp"
    assert (second["ip_address"], second["netmask"]) == ("10.77.0.2", "255.255.255.0")


def test_images_ask_every_source_that_a_cloud_or_a_workstation_has():
    text = (OVERLAYS / "common/etc/cloud/cloud.cfg.d/90_swrepo.cfg").read_text("utf-8")
    sources = yaml.safe_load(text)["datasource_list"]
    assert sources[:3] == ["NoCloud", "ConfigDrive", "OpenStack"]


def test_inodes_in_use_are_those_that_are_not_free():
    told = "Inode count:              24\nFirst inode:              11\n"
    told += "Group 0: (Blocks 0-9)\n  Free inodes: 12\nGroup 1: (Blocks 10-19)\n  Free inodes: 14-15, 17-24\n"
    assert list(used_inodes(told)) == [2, 11, 13, 16]
    assert list(used_inodes("nothing")) == []


def test_machines_differ_in_all_that_a_network_sees(tmp_path):
    plans = [MachinePlan("server", 1, tmp_path / "x"), MachinePlan("client", 2, tmp_path / "x")]
    for value in ("address", "identifier"):
        assert len({getattr(plan, value) for plan in plans}) == 2
    assert not plans[0].cards.keys() & plans[1].cards.keys()


def test_a_machine_has_a_second_disk_only_where_one_is_wanted(tmp_path):
    assert not any("volume" in word for word in MachinePlan("s", 1, tmp_path / "x").words(tmp_path, 2222, "tcg"))
    words = MachinePlan("s", 1, tmp_path / "x", volume="5G").words(tmp_path, 2222, "tcg")
    assert "virtio-blk-pci,drive=volume" in words


def test_a_machine_has_ssh_on_loopback_only(tmp_path):
    words = MachinePlan("server", 1, tmp_path / "x").words(tmp_path, 2222, "tcg")
    assert "user,id=outside,hostfwd=tcp:127.0.0.1:2222-:22" in words
    assert any("localaddr=127.0.0.1" in word for word in words)


@pytest.mark.parametrize(("number", "way"), [(0, "auto"), (255, "auto"), (1, "warp")])
def test_a_machine_that_cannot_be_is_refused(tmp_path, number, way):
    with pytest.raises(UsageError):
        MachinePlan("x", number, tmp_path / "x", accelerator=way)


def test_a_program_that_starts_another_finds_what_administrators_have(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # as ordinary users have it
    assert "/usr/sbin" in programs.run(["sh", "-c", "echo $PATH"]).strip().split(":")
    assert programs.run(["sh", "-c", "echo $A"], environment={"A": "b"}) == "b\n"


def test_there_are_three_images():
    assert set(RECIPES) == {"server", "client", "worker"}
    with pytest.raises(UsageError, match="server, client, worker"):
        recipe("mainframe")


def test_rules_of_sudo_are_readable_by_root_alone_and_scripts_can_run():
    assert mode_of("etc/sudoers.d/swrepo") == 0o440
    assert mode_of("etc/update-motd.d/50-swrepo") == 0o755
    assert mode_of("etc/swrepo/machine.conf") == 0o644


def test_a_server_has_the_web_server_configuration_of_the_documents():
    text = (OVERLAYS / "server/etc/nginx/conf.d/swrepo.conf").read_text("utf-8")
    assert text in (ROOT / "docs/operations.md").read_text("utf-8")


def test_scripts_of_the_image_are_shell():
    for script in (OVERLAYS.parent / "configure.sh", OVERLAYS / "common/etc/update-motd.d/50-swrepo"):
        assert subprocess.run(["sh", "-n", script], check=False).returncode == 0


def test_missing_programs_are_named_with_the_command_that_installs_them():
    with pytest.raises(NotFound, match="apt-get install no-such-program qemu-utils"):
        programs.require(["no-such-program"], {"/no/such/file": "qemu-utils"})


def test_a_program_that_fails_is_quoted():
    with pytest.raises(SwrepoError, match="sh ended with exit code 3:\n  it is broken"):
        programs.run(["sh", "-c", "echo it is broken >&2; exit 3"])
