"""What a cloud's network needs for our machines: which network, an address that others reach, exactly the ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from swrepo.cloud.connection import Connection, refusals
from swrepo.cloud.description import Rule
from swrepo.errors import CloudRefused, NotFound, UsageError

_ETHERTYPES = ("IPv4", "IPv6")


def choose(connection: Connection, name: str | None) -> Any:
    """The network that machines are put on: the one of that name or id, or the only one there is for them."""
    with refusals("looking for networks"):
        found = list(connection.network.networks())
    if name is not None:
        for network in found:
            if name in (network.name, network.id):
                return network
        raise NotFound(f"the cloud has no network {name}; there are {_names(found) or 'none'}")
    own = [network for network in found if not network.is_router_external]
    mine = [network for network in own if network.project_id == connection.current_project_id] or own
    if len(mine) == 1:
        return mine[0]
    if not mine:
        raise NotFound(
            "this project has no network; create one with a subnet and a router, or ask the cloud's operators"
        )
    raise UsageError(f"there are several networks; name one with --network: {_names(mine)}")


def security_group(connection: Connection, name: str, rules: Sequence[Rule]) -> tuple[Any, list[Rule]]:
    """The security group `name` with at least these rules, and those that it lacked."""
    with refusals(f"making the security group {name}"):
        group = next(iter(connection.network.security_groups(name=name)), None)
        if group is None:
            group = connection.network.create_security_group(name=name, description="ports of swrepo")
        there = list(connection.network.security_group_rules(security_group_id=group.id, direction="ingress"))
        missing = [rule for rule in rules if not any(_is(rule, one) for one in there)]
        for rule in missing:
            for ethertype in _ETHERTYPES:
                connection.network.create_security_group_rule(
                    security_group_id=group.id,
                    direction="ingress",
                    ethertype=ethertype,
                    protocol="ipv6-icmp" if (rule.protocol, ethertype) == ("icmp", "IPv6") else rule.protocol,
                    port_range_min=rule.port,
                    port_range_max=rule.port,
                )
        return group, missing


def give_address(connection: Connection, server: Any) -> str | None:
    """A floating IP for a server: a free one of the project's, or a new one. None where the cloud has none at all."""
    with refusals(f"giving {server.name} an address"):
        outside = [network for network in connection.network.networks() if network.is_router_external]
        if not outside:
            return None
        port = next(iter(connection.network.ports(device_id=server.id)), None)
        if port is None:
            raise CloudRefused(f"{server.name} has no port on a network, so no address can be given to it")
        free = [ip for ip in connection.network.ips() if ip.port_id is None and ip.project_id == port.project_id]
        address = free[0] if free else connection.network.create_ip(floating_network_id=outside[0].id)
        try:
            connection.network.update_ip(address, port_id=port.id)
        except BaseException:
            if not free:
                connection.network.delete_ip(address)
            raise
        return str(address.floating_ip_address)


def addresses(connection: Connection, server: Any) -> list[Any]:
    """The floating IPs of a server."""
    ports = [port.id for port in connection.network.ports(device_id=server.id)]
    return [ip for ip in connection.network.ips() if ip.port_id in ports] if ports else []


def _is(rule: Rule, there: Any) -> bool:
    low, high = there.port_range_min, there.port_range_max
    open_ports = low is None or (rule.port is not None and low <= rule.port <= (high or low))
    return there.protocol == rule.protocol and open_ports and there.remote_ip_prefix in (None, "0.0.0.0/0")


def _names(networks: Sequence[Any]) -> str:
    return ", ".join(sorted(str(network.name) for network in networks))
