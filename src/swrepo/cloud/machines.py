"""Machines in a cloud: launched from an image, found again by what is written on them, snapshotted, taken down."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from swrepo.cloud import images, network
from swrepo.cloud.connection import Connection, refusals
from swrepo.cloud.description import DEPLOYMENT, DISK_GB, MEMORY_MB, ROLE, UserData, rules
from swrepo.errors import CloudRefused, NotFound, Unreachable, UsageError

Say = Callable[[str], None]

_SSH_PORT = 22
_PATIENCE = 600
_POLL = 3.0


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """What to launch. `flavor`, `network`: names or ids, None for whatever fits. `public_key`: text of an ssh key."""

    role: str
    deployment: str
    image: str
    count: int = 1
    flavor: str | None = None
    network: str | None = None
    key_name: str | None = None
    public_key: str | None = None
    with_address: bool = True
    proxy: bool = False
    user_data: UserData = field(default_factory=UserData)

    def __post_init__(self) -> None:
        rules(self.role)  # refuses unknown roles
        if self.count < 1:
            raise UsageError(f"--count {self.count}: at least one machine is launched")

    @property
    def names(self) -> list[str]:
        """What the machines are called."""
        if self.count == 1:
            return [f"{self.deployment}-{self.role}"]
        return [f"{self.deployment}-{self.role}-{number}" for number in range(1, self.count + 1)]

    @property
    def group_name(self) -> str:
        """Of the security group."""
        return f"{self.deployment}-{self.role}"


@dataclass(frozen=True, slots=True)
class Launched:
    """A machine. `address`: where others reach it; its own, where the cloud has no floating IPs."""

    name: str
    identifier: str
    address: str | None


def launch(connection: Connection, plan: LaunchPlan, say: Say) -> list[Launched]:
    """Launch machines and wait until the cloud calls them active. Of one that fails, nothing is left."""
    image = images.find(connection, plan.image)
    flavor = choose_flavor(connection, plan.flavor, image)
    net = network.choose(connection, plan.network)
    _check_names(connection, plan.names)
    key = _key(connection, plan)
    group, opened = network.security_group(connection, plan.group_name, rules(plan.role, proxy=plan.proxy))
    if opened:
        say(f"security group {group.name}: opened {', '.join(rule.words for rule in opened)}")
    launched = []
    for name in plan.names:
        say(f"{name}: launching {image.name} as {flavor.name} on {net.name}")
        launched.append(_launch(connection, plan, name, (image, flavor, net, key, group)))
    return launched


def _launch(connection: Connection, plan: LaunchPlan, name: str, parts: Sequence[Any]) -> Launched:
    image, flavor, net, key, group = parts
    more = {"user_data": encoded} if (encoded := plan.user_data.encoded()) else {}
    with refusals(f"launching {name}"):
        server = connection.compute.create_server(
            name=name,
            image_id=image.id,
            flavor_id=flavor.id,
            networks=[{"uuid": net.id}],
            security_groups=[{"name": group.name}],
            metadata={DEPLOYMENT: plan.deployment, ROLE: plan.role},
            **({"key_name": key} if key else {}),
            **more,
        )
    try:
        with refusals(f"waiting for {name}"):
            server = connection.compute.wait_for_server(server, interval=1, wait=_PATIENCE)
        address = network.give_address(connection, server) if plan.with_address else None
    except BaseException as error:
        fault = _fault(connection, server)
        if fault:
            error.add_note(f"the cloud says: {fault}")
        with refusals(f"removing {name}, which failed"):
            connection.compute.delete_server(server, ignore_missing=True)
            connection.compute.wait_for_delete(server, interval=1, wait=_PATIENCE)  # it has its address until then
        raise
    return Launched(name, server.id, address or own_address(server))


def choose_flavor(connection: Connection, name: str | None, image: Any) -> Any:
    """The flavor of that name or id, or the smallest that the image fits on. Refuses one that is too small."""
    with refusals("looking for flavors"):
        found = list(connection.compute.flavors())
    memory, disk = max(MEMORY_MB, image.min_ram or 0), max(DISK_GB, image.min_disk or 0)
    if name is not None:
        for flavor in found:
            if name in (flavor.name, flavor.id):
                if not _fits(flavor, memory, disk):
                    raise UsageError(
                        f"the flavor {flavor.name} has {flavor.ram} MB and {flavor.disk} GB; {image.name} needs "
                        f"{memory} MB and {disk} GB"
                    )
                return flavor
        raise NotFound(f"the cloud has no flavor {name}; there are {', '.join(sorted(f.name for f in found))}")
    fitting = sorted((f for f in found if _fits(f, memory, disk)), key=lambda f: (f.ram, f.vcpus, f.disk))
    if not fitting:
        raise NotFound(f"no flavor of this cloud has {memory} MB of memory and {disk} GB of disk")
    return fitting[0]


def _fits(flavor: Any, memory: int, disk: int) -> bool:
    return bool(flavor.ram >= memory and (flavor.disk == 0 or flavor.disk >= disk))  # 0: as large as the image


def deployed(connection: Connection, deployment: str | None) -> list[Any]:
    """The servers of a deployment (None: of all), by name."""
    with refusals("looking for servers"):
        found = [server for server in connection.compute.servers(details=True) if DEPLOYMENT in (server.metadata or {})]
    wanted = [server for server in found if deployment in (None, server.metadata[DEPLOYMENT])]
    return sorted(wanted, key=lambda server: str(server.name))


def snapshot(connection: Connection, name: str, image_name: str, say: Say) -> Any:
    """Keep a machine's disk as an image; waits until the image is there."""
    with refusals(f"looking for the server {name}"):
        server = connection.compute.find_server(name, ignore_missing=True)
    if server is None:
        raise NotFound(f"there is no server {name}; 'swrepo cloud status' lists ours")
    say(f"{name}: its disk becomes the image {image_name}")
    with refusals(f"snapshotting {name}"):
        return connection.compute.create_server_image(server, image_name, wait=True, timeout=_PATIENCE)


@dataclass(frozen=True, slots=True)
class Remains:
    """All that a deployment consists of: what `down` deletes."""

    servers: tuple[Any, ...]
    addresses: tuple[Any, ...]
    groups: tuple[Any, ...]
    keys: tuple[Any, ...]

    def lines(self) -> Iterator[str]:
        """Each thing by its kind and name."""
        for kind, things in (("server", self.servers), ("security group", self.groups), ("key pair", self.keys)):
            yield from (f"{kind} {thing.name}" for thing in things)
        yield from (f"floating IP {address.floating_ip_address}" for address in self.addresses)


def remains(connection: Connection, deployment: str) -> Remains:
    """What there is of a deployment."""
    servers = deployed(connection, deployment)
    with refusals(f"looking for what belongs to {deployment}"):
        addresses = [ip for server in servers for ip in network.addresses(connection, server)]
        names = {f"{deployment}-{role}" for role in ("server", "client", "worker")}
        groups = [group for group in connection.network.security_groups() if group.name in names]
        keys = [key for key in connection.compute.keypairs() if key.name == deployment]
    return Remains(tuple(servers), tuple(addresses), tuple(groups), tuple(keys))


def down(connection: Connection, found: Remains, say: Say) -> None:
    """Delete all of it: addresses, servers, then what servers hold on to."""
    for address in found.addresses:
        with refusals(f"giving back {address.floating_ip_address}"):
            connection.network.delete_ip(address)
    for server in found.servers:
        with refusals(f"deleting the server {server.name}"):
            connection.compute.delete_server(server)
    for server in found.servers:
        with refusals(f"waiting for the end of {server.name}"):
            connection.compute.wait_for_delete(server, interval=1, wait=_PATIENCE)
    for group in found.groups:
        with refusals(f"deleting the security group {group.name}"):
            connection.network.delete_security_group(group)
    for key in found.keys:
        with refusals(f"deleting the key pair {key.name}"):
            connection.compute.delete_keypair(key)
    for line in found.lines():
        say(f"deleted {line}")


def own_address(server: Any) -> str | None:
    """A server's first address, as the cloud tells it."""
    for found in (server.addresses or {}).values():
        for address in found:
            return str(address["addr"])
    return None


def wait_for_ssh(address: str, patience: float, say: Say) -> float:
    """Until something at `address` speaks ssh; the seconds. Unreachable after `patience`."""
    began, said = time.monotonic(), 0.0
    while (spent := time.monotonic() - began) < patience:
        try:
            with socket.create_connection((address, _SSH_PORT), timeout=5) as connection:
                if connection.recv(4) == b"SSH-":
                    return time.monotonic() - began
        except OSError:
            pass
        if spent - said > 20:
            said = spent
            say(f"waiting for ssh at {address}, {spent:.0f} s")
        time.sleep(_POLL)
    raise Unreachable(
        f"nothing at {address} speaks ssh after {patience:.0f} s; see the console ('openstack console log show'), and "
        "whether port 22 is open to you (swrepo cloud ports)"
    )


def _check_names(connection: Connection, names: Sequence[str]) -> None:
    with refusals("looking for servers"):
        taken = {server.name for server in connection.compute.servers(details=False)}
    for name in names:
        if name in taken:
            raise UsageError(f"there is a server {name} already; give another --name, or take it down")


def _key(connection: Connection, plan: LaunchPlan) -> str | None:
    """The key pair that machines let in: the one that was named, or one of the deployment's name with the given key."""
    with refusals("looking for key pairs"):
        if plan.key_name is not None:
            if connection.compute.find_keypair(plan.key_name, ignore_missing=True) is None:
                raise NotFound(f"the cloud has no key pair {plan.key_name}; --public-key FILE makes one")
            return plan.key_name
        if plan.public_key is None:
            return None
        there = connection.compute.find_keypair(plan.deployment, ignore_missing=True)
        if there is None:
            connection.compute.create_keypair(name=plan.deployment, public_key=plan.public_key)
        elif str(there.public_key).split()[:2] != plan.public_key.split()[:2]:  # the rest is a comment
            raise UsageError(
                f"the cloud has a key pair {plan.deployment} with another key, which would not let you in; "
                f"--key-pair {plan.deployment} takes it all the same, or give another --name"
            )
        return plan.deployment


def _fault(connection: Connection, server: Any) -> str:
    """Why a server failed, as far as the cloud says."""
    try:
        with refusals("asking why"):
            fault = connection.compute.get_server(server.id).fault
    except (NotFound, CloudRefused, Unreachable):
        return ""
    return str((fault or {}).get("message", ""))
