"""Launching, finding, snapshotting and taking down machines in real Nova, Placement, Neutron, Keystone and Glance.

What that proves and what it does not is said in `compute_services`. Run by `make test-nova`, which installs the services;
the plain run has `test_machines_in_a_cloud` in its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
import yaml

from swrepo.cli.main import main
from swrepo.cloud import images, machines
from swrepo.cloud.connection import connect
from swrepo.cloud.images import ImagePlan
from swrepo.cloud.machines import LaunchPlan
from swrepo.errors import CloudRefused, Unreachable, UsageError
from swrepo.image import programs
from tests.cloud import database
from tests.cloud.compute_services import WholeCloud, whole_cloud
from tests.cloud.services import HOME

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (HOME / "etc/nova").is_dir(),
        reason="Nova, Neutron and Placement are not here; 'make test-nova' installs them",
    ),
    pytest.mark.skipif(not database.is_here(), reason="MariaDB is not here: apt-get install mariadb-server-core"),
    pytest.mark.skipif(programs.find("qemu-img") is None, reason="qemu-img makes the image that is sent"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),  # of the library, to itself
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> str:
    """A real public key: Nova looks into it."""
    file = tmp_path_factory.mktemp("key") / "key"
    programs.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file])
    return file.with_suffix(".pub").read_text("ascii").strip()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Iterator[WholeCloud]:
    place = tmp_path_factory.mktemp("cloud")
    with whole_cloud(place / "services") as found:
        clouds = {"c": {"auth": found.account(), "region_name": "here"}}
        (place / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))
        before = os.environ.get("OS_CLIENT_CONFIG_FILE")
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(place / "clouds.yaml")
        programs.run(["qemu-img", "create", "-q", "-f", "qcow2", place / "x.qcow2", "1M"])
        for name in ("swrepo-server", "swrepo-client"):
            images.upload(connect("c"), place / "x.qcow2", ImagePlan(name, min_ram=1024), lambda _count: None)
        try:
            yield found
        finally:
            os.environ.pop("OS_CLIENT_CONFIG_FILE")
            if before is not None:
                os.environ["OS_CLIENT_CONFIG_FILE"] = before


@pytest.fixture
def cloud(whole, key) -> Iterator[WholeCloud]:
    """The cloud, from which everything is taken down afterwards: by `down`, which is to leave nothing."""
    yield whole
    machines.down(connect("c"), machines.remains(connect("c"), "lab"), lambda _text: None)
    assert left(whole) == []


def left(cloud: WholeCloud) -> list[str]:
    """What alice's project has, besides the network and the images that it had before."""
    mine = cloud.connect()
    found = [server.name for server in mine.compute.servers()]
    found += [pair.name for pair in mine.compute.keypairs()]
    found += [group.name for group in mine.network.security_groups() if group.name != "default"]
    found += [port.id for port in mine.network.ports() if str(port.device_owner).startswith("compute:")]
    return found + [ip.floating_ip_address for ip in mine.network.ips()]


def launched(key, **changes):
    plan = LaunchPlan(**{"role": "server", "deployment": "lab", "image": "swrepo-server", "public_key": key, **changes})
    return machines.launch(connect("c"), plan, lambda _text: None)


def opened(cloud: WholeCloud, name: str) -> set[tuple[str, str, int | None, int | None]]:
    mine = cloud.connect()
    (group,) = mine.network.security_groups(name=name)
    rules = mine.network.security_group_rules(security_group_id=group.id, direction="ingress")
    return {(rule.ether_type, rule.protocol, rule.port_range_min, rule.port_range_max) for rule in rules}


def test_a_server_gets_its_key_its_address_and_exactly_its_ports(cloud, key):
    (machine,) = launched(key)
    mine = cloud.connect()
    server = mine.compute.get_server(machine.identifier)
    assert (server.name, server.status) == ("lab-server", "ACTIVE")
    assert server.metadata == {"swrepo": "lab", "swrepo_role": "server"}
    assert server.flavor.name == "small"  # the smallest that the image fits on
    assert mine.compute.get_keypair(server.key_name).public_key == key
    assert [group["name"] for group in server.security_groups] == ["lab-server"]
    ports = {("tcp", 22, 22), ("tcp", 80, 80)}
    wanted = {(kind, *port) for kind in ("IPv4", "IPv6") for port in ports}
    assert opened(cloud, "lab-server") == wanted | {("IPv4", "icmp", None, None), ("IPv6", "ipv6-icmp", None, None)}
    (address,) = mine.network.ips()
    assert machine.address == address.floating_ip_address
    assert machine.address.startswith("203.0.113.")
    assert mine.network.get_port(address.port_id).device_id == machine.identifier


def test_a_proxy_opens_one_port_more_and_a_second_launch_none(cloud, key):
    launched(key, with_address=False)
    before = opened(cloud, "lab-server")
    launched(key, with_address=False, count=2, proxy=True)
    assert opened(cloud, "lab-server") - before == {(kind, "tcp", 3128, 3128) for kind in ("IPv4", "IPv6")}


def test_without_a_floating_ip_the_machines_own_address_is_told(cloud, key):
    assert launched(key, with_address=False)[0].address.startswith("10.9.0.")


def test_status_shows_it_snapshot_keeps_it_and_the_snapshot_launches(cloud, key, capsys):
    launched(key, with_address=False)
    assert main(["cloud", "status", "--json", "--cloud", "c"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["name"], one["role"], one["state"]) == ("lab-server", "server", "ACTIVE")
    assert main(["cloud", "snapshot", "lab-server", "mine", "--cloud", "c"]) == 0
    image = images.find(connect("c"), "mine")
    try:
        assert image.status == "active"
        launched(key, with_address=False, image="mine", deployment="lab", count=2)
        assert {server.image.id for server in machines.deployed(connect("c"), "lab")} > {image.id}
    finally:
        cloud.connect().image.delete_image(image.id)


def test_down_asks_names_what_it_deletes_and_leaves_what_is_not_its_own(cloud, key, capsys):
    mine = cloud.connect()
    mine.compute.create_keypair(name="mine", public_key=key)
    launched(key)
    before = left(cloud)
    assert main(["cloud", "down", "--name", "lab", "--cloud", "c"]) == UsageError.exit_code  # nobody is there to answer
    assert main(["cloud", "down", "--name", "lab", "--dry-run", "--cloud", "c"]) == 0
    assert left(cloud) == before
    capsys.readouterr()
    assert main(["cloud", "down", "--name", "lab", "--yes", "--cloud", "c"]) == 0
    told = capsys.readouterr().out
    for name in ("server lab-server", "security group lab-server", "key pair lab", "floating IP 203.0.113."):
        assert name in told
    assert left(cloud) == ["mine"]
    mine.compute.delete_keypair("mine")


@pytest.fixture
def no_instances(whole) -> Iterator[None]:
    admin, project = whole.connect("admin", "admin"), whole.connect().current_project_id
    admin.set_compute_quotas(project, instances=0)
    yield
    admin.delete_compute_quotas(project)


def test_a_quota_that_is_used_up_is_told_and_no_machine_is_left(cloud, key, no_instances):
    with pytest.raises(CloudRefused, match="quota of this project is used up"):
        launched(key)
    assert left(cloud) == ["lab", "lab-server"]  # the key pair and the security group, which the next launch uses


def test_a_quota_of_addresses_that_is_used_up_leaves_no_machine(cloud, key):
    admin, project = cloud.connect("admin", "admin"), cloud.connect().current_project_id
    admin.set_network_quotas(project, floatingip=0)
    try:
        with pytest.raises(CloudRefused, match="giving lab-server an address: the quota of this project is used up"):
            launched(key)
    finally:
        admin.delete_network_quotas(project)
    assert not cloud.connect().list_servers()


def free_addresses(admin, network) -> int:
    told = admin.network.get_network_ip_availability(network.id)
    return told.total_ips - told.used_ips


def test_a_cloud_without_a_free_address_says_so_and_leaves_no_machine(cloud, key):
    admin = cloud.connect("admin", "admin")
    outside = admin.network.find_network("outside")
    taken = [admin.network.create_ip(floating_network_id=outside.id) for _ in range(free_addresses(admin, outside))]
    try:
        with pytest.raises(CloudRefused, match=r"giving lab-server an address: .*No more IP addresses"):
            launched(key)
    finally:
        for address in taken:
            admin.network.delete_ip(address)
    assert not cloud.connect().list_servers()


def test_a_machine_for_which_there_is_no_room_is_removed_and_the_reason_told(cloud, key):
    admin = cloud.connect("admin", "admin")
    flavor = admin.compute.create_flavor(name="huge", ram=1 << 20, vcpus=1, disk=4)
    admin.set_compute_quotas(cloud.connect().current_project_id, ram=-1)
    try:
        with pytest.raises(CloudRefused) as caught:
            launched(key, flavor="huge")
    finally:
        admin.delete_compute_quotas(cloud.connect().current_project_id)
        admin.compute.delete_flavor(flavor)
    assert "No valid host was found" in " ".join([str(caught.value), *caught.value.__notes__])
    assert not cloud.connect().list_servers()


def test_a_flavor_that_is_too_small_and_a_name_that_is_taken_are_refused_before_anything_is_made(cloud, key):
    with pytest.raises(UsageError, match="512 MB and 1 GB; swrepo-server needs 1024 MB and 2 GB"):
        launched(key, flavor="tiny")
    assert left(cloud) == []
    launched(key, with_address=False)
    with pytest.raises(UsageError, match="a server lab-server already"):
        launched(key, with_address=False)


def test_the_test_drive_launches_both_and_leaves_nothing_where_nobody_answers(whole, key, tmp_path, capsys):
    (tmp_path / "key.pub").write_text(key)
    words = ["cloud", "testdrive", "--public-key", str(tmp_path / "key.pub"), "--patience", "0", "--cloud", "c"]
    assert main(words) == Unreachable.exit_code
    told = capsys.readouterr().err
    for name in ("swrepo-testdrive-server: launching", "swrepo-testdrive-client: launching", "speaks ssh"):
        assert name in told
    for name in (
        "server swrepo-testdrive-server",
        "security group swrepo-testdrive-client",
        "key pair swrepo-testdrive",
    ):
        assert f"deleted {name}" in told
    assert left(whole) == []
