"""Launching, finding, snapshotting and taking down machines, against compute and network services in memory.

What that proves and what it does not is said in `fake_cloud`.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import yaml

from swrepo.cli.main import main
from swrepo.cloud import machines, template
from swrepo.cloud.connection import connect
from swrepo.cloud.description import RULES, UserData
from swrepo.cloud.machines import LaunchPlan
from swrepo.cloud.template import TemplatePlan
from swrepo.errors import CloudRefused, NotFound, UsageError
from tests.cloud.fake_cloud import running_cloud

pytestmark = [
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),  # of the library, to itself
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

KEY = "ssh-ed25519 AAAA somebody"


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    with running_cloud() as found:
        auth = {"auth_url": f"{found.url}/v3", "username": "u", "password": "p", "project_name": "project"}
        auth |= {"user_domain_id": "default", "project_domain_id": "default"}
        (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"c": {"auth": auth, "region_name": "here"}}}))
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
        yield found


def launched(cloud, **changes):
    plan = LaunchPlan(**{"role": "server", "deployment": "lab", "image": "swrepo-server", "public_key": KEY, **changes})
    return machines.launch(connect("c"), plan, lambda _text: None)


def opened(cloud):
    rules = cloud.things["security-group-rules"].values()
    return {(rule["protocol"], rule["port_range_min"]) for rule in rules if rule["ethertype"] == "IPv4"}


def test_a_server_gets_an_image_a_key_an_address_and_exactly_its_ports(cloud):
    (machine,) = launched(cloud)
    (server,) = cloud.servers.values()
    assert machine.name == server["name"] == "lab-server"
    assert server["metadata"] == {"swrepo": "lab", "swrepo_role": "server"}
    assert server["flavorRef"] == "f2"  # the smallest that the image fits on
    assert cloud.keys["lab"]["public_key"] == KEY
    assert opened(cloud) == {("tcp", 22), ("tcp", 80), ("icmp", None)}
    assert machine.address == "203.0.113.1"
    (address,) = cloud.things["floatingips"].values()
    assert address["port_id"] in cloud.things["ports"]


def test_a_free_address_is_taken_before_another_one_is_asked_for(cloud):
    cloud.add("floatingips", floating_ip_address="203.0.113.99", port_id=None)
    assert launched(cloud)[0].address == "203.0.113.99"
    assert len(cloud.things["floatingips"]) == 1


def test_a_cloud_without_floating_ips_gives_the_machines_own_address(cloud):
    cloud.has_outside = False
    assert launched(cloud)[0].address == "10.0.0.5"


def test_a_proxy_opens_one_port_more(cloud):
    launched(cloud, proxy=True)
    assert ("tcp", 3128) in opened(cloud)


def test_a_second_launch_opens_nothing_twice(cloud):
    launched(cloud)
    before = len(cloud.things["security-group-rules"])
    launched(cloud, deployment="lab", count=2)
    assert len(cloud.things["security-group-rules"]) == before


def test_several_are_told_apart_by_numbers(cloud):
    cloud.add_image("swrepo-worker")
    names = [machine.name for machine in launched(cloud, role="worker", image="swrepo-worker", count=3)]
    assert names == ["lab-worker-1", "lab-worker-2", "lab-worker-3"]


def test_what_a_worker_is_told_is_a_document_of_cloud_init(cloud):
    told = UserData({"SERVER": "203.0.113.7", "TRUST": "yes"}, {"a.example.org.pub": b"key"})
    launched(cloud, user_data=told)
    (server,) = cloud.servers.values()
    text = base64.b64decode(server["user_data"]).decode()
    files = {file["path"]: file["content"] for file in yaml.safe_load(text)["write_files"]}
    assert text.startswith("#cloud-config\n")
    assert files == {
        "/etc/swrepo/machine.conf": "SERVER='203.0.113.7'\nTRUST='yes'\n",
        "/etc/swrepo/keys/a.example.org.pub": "key",
    }


def test_a_quota_that_is_used_up_is_told_and_nothing_is_left(cloud):
    cloud.quota = 0
    with pytest.raises(CloudRefused, match="quota of this project is used up"):
        launched(cloud)
    assert not cloud.servers
    assert not cloud.things["floatingips"]


def test_a_machine_that_fails_is_removed_and_its_fault_told(cloud):
    cloud.fault = "No valid host was found."
    with pytest.raises(CloudRefused) as caught:
        launched(cloud)
    assert "No valid host" in " ".join(caught.value.__notes__)
    assert not cloud.servers


def test_a_flavor_that_is_too_small_is_refused_before_anything_is_made(cloud):
    with pytest.raises(UsageError, match="512 MB and 1 GB; swrepo-server needs 1024 MB and 2 GB"):
        launched(cloud, flavor="tiny")
    assert not any(call.startswith("POST /compute") for call in cloud.calls)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"flavor": "huge"}, "no flavor huge; there are large, small, tiny"),
        ({"network": "n"}, "no network n; there are private, public"),
        ({"image": "i"}, "no image i; 'swrepo cloud upload'"),
        ({"public_key": None, "key_name": "k"}, "no key pair k"),
    ],
)
def test_what_the_cloud_does_not_have_is_named_with_what_it_has(cloud, change, words):
    with pytest.raises(NotFound, match=words):
        launched(cloud, **change)
    assert not cloud.servers


def test_a_name_that_is_taken_is_refused(cloud):
    launched(cloud)
    with pytest.raises(UsageError, match="a server lab-server already"):
        launched(cloud)


def test_a_key_pair_of_that_name_with_another_key_is_not_taken_for_ones_own(cloud):
    launched(cloud)
    launched(cloud, role="client", image="swrepo-server", public_key="ssh-ed25519 AAAA somewhere-else")
    with pytest.raises(UsageError, match=r"a key pair lab with another key, .* --key-pair lab takes it"):
        launched(cloud, role="worker", image="swrepo-server", public_key="ssh-ed25519 BBBB somebody")
    assert not any(server["name"] == "lab-worker" for server in cloud.servers.values())


def test_several_networks_have_to_be_told_apart(cloud):
    cloud.add("networks", name="other", **{"router:external": False})
    with pytest.raises(UsageError, match="--network: other, private"):
        launched(cloud)


def test_a_snapshot_becomes_an_image(cloud, capsys):
    launched(cloud)
    assert main(["cloud", "snapshot", "lab-server", "mine", "--cloud", "c"]) == 0
    assert "mine" in {image["name"] for image in cloud.images.values()}
    assert "--image mine" in capsys.readouterr().out
    with pytest.raises(NotFound, match="no server nobody"):
        machines.snapshot(connect("c"), "nobody", "x", lambda _text: None)


def test_status_shows_what_is_ours(cloud, capsys):
    launched(cloud)
    cloud.servers["other"] = {"id": "other", "name": "other", "status": "ACTIVE", "metadata": {}}
    assert main(["cloud", "status", "--json", "--cloud", "c"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["name"], one["role"], one["state"], one["addresses"]) == (
        "lab-server",
        "server",
        "ACTIVE",
        ["10.0.0.5"],
    )


def test_down_names_what_it_deletes_and_deletes_nothing_else(cloud, capsys):
    cloud.add("security-groups", name="default")
    cloud.add("floatingips", floating_ip_address="203.0.113.200", port_id="somebody's")
    cloud.keys["mine"] = {"name": "mine", "public_key": KEY}
    launched(cloud)
    assert main(["cloud", "down", "--name", "lab", "--yes", "--cloud", "c"]) == 0
    told = capsys.readouterr()
    for name in ("server lab-server", "security group lab-server", "key pair lab", "floating IP 203.0.113.2"):
        assert name in told.out
        assert f"deleted {name}" in told.err
    assert not cloud.servers
    assert set(cloud.keys) == {"mine"}
    assert [group["name"] for group in cloud.things["security-groups"].values()] == ["default"]
    assert [ip["floating_ip_address"] for ip in cloud.things["floatingips"].values()] == ["203.0.113.200"]


def test_down_asks_first_and_a_dry_run_only_names(cloud, capsys):
    launched(cloud)
    assert main(["cloud", "down", "--name", "lab", "--dry-run", "--cloud", "c"]) == 0
    assert main(["cloud", "down", "--name", "lab", "--cloud", "c"]) == UsageError.exit_code  # nobody is there to answer
    assert "--yes" in capsys.readouterr().err
    assert cloud.servers


def test_a_dry_run_of_launch_says_all_and_does_nothing(cloud, capsys):
    assert main(["cloud", "launch", "server", "--dry-run", "--cloud", "c"]) == 0
    shown = capsys.readouterr().out
    for word in ("swrepo-server", "small", "private", "tcp/22, tcp/80, icmp"):
        assert word in shown
    assert not cloud.servers
    assert not cloud.things["security-groups"]


def test_the_command_launches_and_prints_what_to_type(cloud, tmp_path, capsys):
    (tmp_path / "key.pub").write_text(KEY)
    words = ["cloud", "launch", "server", "--public-key", str(tmp_path / "key.pub"), "--no-wait", "--cloud", "c"]
    assert main(words) == 0
    assert "swrepo-server: 203.0.113.1" in capsys.readouterr().out


def test_a_private_key_is_not_sent(cloud, tmp_path, capsys):
    (tmp_path / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert main(["cloud", "launch", "server", "--public-key", str(tmp_path / "key"), "--cloud", "c"]) != 0
    assert "is a private key" in capsys.readouterr().err
    assert not cloud.calls


def test_ports_shows_them_without_a_cloud(capsys):
    assert main(["cloud", "ports", "server"]) == 0
    assert "tcp/80" in capsys.readouterr().out


@pytest.mark.parametrize("role", RULES)
def test_templates_open_the_same_ports_as_a_launch(role):
    plan = TemplatePlan([role])
    heat = yaml.safe_load(template.heat(plan))["resources"][f"{role}_group"]["properties"]["rules"]
    tofu = json.loads(template.tofu(plan))["resource"]["openstack_networking_secgroup_rule_v2"].values()
    wanted = {(rule.protocol, rule.port) for rule in RULES[role]}
    for rules in (heat, tofu):
        assert {(rule["protocol"], rule.get("port_range_min")) for rule in rules} == wanted


def test_workers_of_a_template_use_its_server():
    text = template.heat(TemplatePlan(["server", "worker"], "lab"))
    assert "SERVER='lab-server'" in yaml.safe_load(text)["resources"]["worker_machine"]["properties"]["user_data"]


def test_the_examples_are_what_the_command_writes():
    plan = TemplatePlan(["server", "client", "worker"])
    examples = Path(__file__).resolve().parents[2] / "examples"
    assert (examples / "swrepo-heat.yaml").read_text("utf-8") == template.heat(plan)
    assert (examples / "swrepo.tf.json").read_text("utf-8") == template.tofu(plan)


def test_the_walk_of_a_newcomer_can_be_read_before_it_is_taken(capsys):
    assert main(["cloud", "testdrive", "--public-key", "none", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    for command in ("PointToCVMFS", "/cvmfs/dair.cvmfs.server/Hello", "cvmfs-sync", "cvmfs_server publish"):
        assert command in shown
