"""Real Nova, Placement and Neutron beside the Keystone and Glance of `services`: the whole of a small cloud, on loopback.

What runs: the services' own code, a database as clouds have it (MariaDB), tokens and quotas, their own refusals. What
does not: a hypervisor (Nova's fake driver says that machines run), agents that carry traffic (a mechanism driver of ours
binds every port), a message broker (Nova's four services are one process, with the bus in memory), migrations (tables are
made from the services' own models).

So this proves what a cloud records and answers: which calls are taken, with which parameters, from an ordinary user; how
servers, ports, security groups, key pairs, addresses and images belong together; that nothing is left behind; the words of
refusals. It does not prove that an image boots, that user data arrive, that a port is open or an address carries traffic,
that a snapshot holds a disk (its bytes are the machine's name): for all of that `make testdrive-vm` starts machines.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openstack

from tests.cloud import services
from tests.cloud.database import Database, mariadb
from tests.cloud.services import HOME, PASSWORD, Cloud
from tests.network.programs import free_port, running

PROGRAMS = Path(__file__).with_name("openstack")
NAMES = ("nova", "neutron", "placement")
_DATABASES = ("nova_api", "nova_cell0", "nova_cell1", "neutron", "placement")

_CREDENTIALS = """
auth_type = password
auth_url = {identity}
project_domain_id = default
user_domain_id = default
project_name = admin
username = admin
password = {password}
region_name = here
"""
_NOVA = """
[DEFAULT]
transport_url = fake://
compute_driver = fake.FakeDriver
host = compute
my_ip = 127.0.0.1
state_path = {place}/nova
periodic_enable = false
report_interval = 600
service_down_time = 6000
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
[api]
auth_strategy = keystone
[api_database]
connection = {database[nova_api]}
[database]
connection = {database[nova_cell1]}
[oslo_concurrency]
lock_path = {place}/nova
[cinder]
os_region_name = here
[glance]
api_servers = {images}
[keystone_authtoken]
www_authenticate_uri = {identity}
{credentials}
[placement]
{credentials}
[neutron]
{credentials}
[service_user]
send_service_user_token = true
{credentials}
"""
_NEUTRON = """
[DEFAULT]
transport_url = fake://
core_plugin = ml2
service_plugins = router
api_paste_config = {place}/neutron-paste.ini
state_path = {place}/neutron
auth_strategy = keystone
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
[database]
connection = {database[neutron]}
[oslo_concurrency]
lock_path = {place}/neutron
[ml2]
type_drivers = local
tenant_network_types = local
mechanism_drivers = bindseveryport
[keystone_authtoken]
www_authenticate_uri = {identity}
{credentials}
"""
_PLACEMENT = """
[placement_database]
connection = {database[placement]}
[keystone_authtoken]
www_authenticate_uri = {identity}
{credentials}
"""
_ENTRY_POINT = "[neutron.ml2.mechanism_drivers]\nbindseveryport = binds_every_port:BindsEveryPort\n"


@dataclass(frozen=True, slots=True)
class WholeCloud:
    """A cloud with machines. Its administrator made an outer network, flavors, and for `alice` a network with a router."""

    basis: Cloud
    compute: str
    network: str
    placement: str

    def account(self, user: str = "alice", project: str = "alice") -> dict[str, str]:
        """What clouds.yaml says of an account."""
        return self.basis.account(user, project)

    def connect(self, user: str = "alice", project: str = "alice") -> openstack.connection.Connection:
        """The library's own connection, to look behind ours."""
        return openstack.connect(auth=self.account(user, project), region_name="here")


@contextmanager
def whole_cloud(place: Path) -> Iterator[WholeCloud]:
    """All of it, from when every service answers until the `with` ends."""
    with services.cloud("whole", place) as basis, mariadb(place / "mariadb", _DATABASES) as database:
        ports = {name: free_port() for name in NAMES}
        found = WholeCloud(basis, *(f"http://127.0.0.1:{ports[name]}" for name in NAMES))
        _configure(found, database)
        _register(found)
        with (
            _service(found, "placement", ports["placement"], database),
            _service(found, "neutron", ports["neutron"], database),
            _service(found, "nova", ports["nova"], database),
        ):
            _furnish(found)
            yield found


def _configure(found: WholeCloud, database: Database) -> None:
    basis, place = found.basis, found.basis.place
    values = {"place": place, "identity": basis.identity, "images": basis.images, "password": PASSWORD}
    values["database"] = {name: database.url(name) for name in _DATABASES}
    values["credentials"] = _CREDENTIALS.format(**values)
    for name, text in (("nova", _NOVA), ("neutron", _NEUTRON), ("placement", _PLACEMENT)):
        (place / name).mkdir()
        (place / name / f"{name}.conf").write_text(text.format(**values))
    (place / "nova/api-paste.ini").write_text((HOME / "etc/nova/api-paste.ini").read_text())
    (place / "neutron-paste.ini").write_text((HOME / "etc/neutron/api-paste.ini").read_text())
    about = place / "binds_every_port-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: binds-every-port\nVersion: 1\n")
    (about / "entry_points.txt").write_text(_ENTRY_POINT)


def _register(found: WholeCloud) -> None:
    """Tell where the services are."""
    identity = found.connect("admin", "admin").identity
    # Nova shows a token of its own beside that of the user; only this role makes others believe it.
    role = identity.find_role("service") or identity.create_role(name="service")
    identity.assign_project_role_to_user(identity.find_project("admin"), identity.find_user("admin"), role)
    kinds = (
        ("compute", "nova", f"{found.compute}/v2.1"),
        ("network", "neutron", found.network),
        ("placement", "placement", found.placement),
    )
    for kind, name, url in kinds:
        service = identity.create_service(type=kind, name=name)
        for side in ("public", "internal"):
            identity.create_endpoint(service_id=service.id, interface=side, url=url, region_id="here")


def _furnish(found: WholeCloud) -> None:
    """What operators of a cloud make before anybody comes."""
    admin = found.connect("admin", "admin")
    for name, ram, disk in (("tiny", 512, 1), ("small", 1024, 4), ("large", 4096, 20)):
        admin.compute.create_flavor(name=name, ram=ram, vcpus=1, disk=disk)
    outside = admin.network.create_network(name="outside", is_router_external=True)
    admin.network.create_subnet(network_id=outside.id, ip_version=4, cidr="203.0.113.0/29", is_dhcp_enabled=False)
    alice = found.connect()
    inside = alice.network.create_network(name="inside")
    subnet = alice.network.create_subnet(network_id=inside.id, ip_version=4, cidr="10.9.0.0/24")
    router = alice.network.create_router(name="router", external_gateway_info={"network_id": outside.id})
    alice.network.add_interface_to_router(router, subnet_id=subnet.id)


@contextmanager
def _service(found: WholeCloud, name: str, port: int, database: Database) -> Iterator[None]:
    place = found.basis.place
    words = [
        *("env", f"PYTHONPATH={PROGRAMS}{os.pathsep}{place}", f"DATABASE={database.url(name)}"),
        *(f"OS_{name.upper()}_CONFIG_DIR={place / name}", "OS_NEUTRON_CONFIG_FILES=neutron.conf"),
        str(HOME / "bin/gunicorn"),
        *("--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4", "--timeout", "300"),
        *("--no-control-socket", "--graceful-timeout", "2", "--keep-alive", "75"),  # longer than clients pause
        f"all_of_{name}:application",
    ]
    with running(words, port, place / f"{name}.log"):
        yield
