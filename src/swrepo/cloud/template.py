"""The same machines for tools that keep clouds as text: a Heat template, an OpenTofu/Terraform module."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from swrepo.cloud.description import DEPLOYMENT, ROLE, Rule, UserData, rules


@dataclass(frozen=True, slots=True)
class TemplatePlan:
    """Which machines: roles in order. `settings` of each role become its user data."""

    roles: Sequence[str]
    deployment: str = "swrepo"


def heat(plan: TemplatePlan) -> str:
    """A Heat template, as JSON, which is YAML. Images, flavor, networks and key are its parameters."""
    parameters: dict[str, Any] = {
        "key_name": {"type": "string", "description": "key pair that is let in"},
        "flavor": {"type": "string", "description": "at least 1024 MB of memory and 2 GB of disk"},
        "network": {"type": "string", "description": "network of the machines"},
        "external_network": {"type": "string", "description": "where floating IPs come from"},
    }
    resources: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for role in plan.roles:
        parameters[f"{role}_image"] = {"type": "string", "default": f"swrepo-{role}", "description": "name or id"}
        resources |= _heat_machine(plan, role)
        address = {"get_attr": [f"{role}_address", "floating_ip_address"]}
        outputs[f"{role}_address"] = {"description": f"ssh debian@ADDRESS to the {role}", "value": address}
    template = {
        "heat_template_version": "2018-08-31",
        "description": f"Software repositories (swrepo): {', '.join(plan.roles)}",
        "parameters": parameters,
        "resources": resources,
        "outputs": outputs,
    }
    return json.dumps(template, indent=2) + "\n"


def _heat_machine(plan: TemplatePlan, role: str) -> dict[str, Any]:
    server: dict[str, Any] = {
        "name": f"{plan.deployment}-{role}",
        "image": _parameter(f"{role}_image"),
        "flavor": _parameter("flavor"),
        "key_name": _parameter("key_name"),
        "networks": [{"port": _resource(f"{role}_port")}],
        "metadata": {DEPLOYMENT: plan.deployment, ROLE: role},
    }
    if text := _user_data(plan, role):
        server |= {"user_data_format": "RAW", "user_data": text}
    return {
        f"{role}_group": {
            "type": "OS::Neutron::SecurityGroup",
            "properties": {
                "name": f"{plan.deployment}-{role}",
                "rules": [_heat_rule(rule) for rule in rules(role)],
            },
        },
        f"{role}_port": {
            "type": "OS::Neutron::Port",
            "properties": {"network": _parameter("network"), "security_groups": [_resource(f"{role}_group")]},
        },
        f"{role}_machine": {"type": "OS::Nova::Server", "properties": server},
        f"{role}_address": {
            "type": "OS::Neutron::FloatingIP",
            "properties": {"floating_network": _parameter("external_network"), "port_id": _resource(f"{role}_port")},
        },
    }


def _parameter(name: str) -> dict[str, str]:
    return {"get_param": name}


def _resource(name: str) -> dict[str, str]:
    return {"get_resource": name}


def _heat_rule(rule: Rule) -> dict[str, Any]:
    found: dict[str, Any] = {"protocol": rule.protocol, "remote_ip_prefix": "0.0.0.0/0"}
    return found if rule.port is None else {**found, "port_range_min": rule.port, "port_range_max": rule.port}


def tofu(plan: TemplatePlan) -> str:
    """A module for OpenTofu and Terraform, in their JSON form (NAME.tf.json)."""
    provider = {"openstack": {"source": "terraform-provider-openstack/openstack"}}
    variables: dict[str, Any] = {
        "key_name": {"description": "key pair that is let in"},
        "flavor": {"description": "at least 1024 MB of memory and 2 GB of disk"},
        "network": {"description": "name of the machines' network"},
        "external_network": {"description": "name of the pool of floating IPs"},
    }
    kinds: dict[str, dict[str, Any]] = {}
    outputs: dict[str, Any] = {}
    for role in plan.roles:
        variables[f"{role}_image"] = {"default": f"swrepo-{role}"}
        for kind, resources in _tofu_machine(plan, role).items():
            kinds.setdefault(kind, {}).update(resources)
        outputs[f"{role}_address"] = {"value": f"${{openstack_networking_floatingip_v2.{role}.address}}"}
    document = {
        "terraform": {"required_providers": provider},
        "variable": variables,
        "data": {"openstack_networking_network_v2": {"network": {"name": "${var.network}"}}},
        "resource": kinds,
        "output": outputs,
    }
    return json.dumps(document, indent=2) + "\n"


def _tofu_machine(plan: TemplatePlan, role: str) -> dict[str, dict[str, Any]]:
    group, port = f"openstack_networking_secgroup_v2.{role}.id", f"openstack_networking_port_v2.{role}.id"
    network = "data.openstack_networking_network_v2.network.id"
    server: dict[str, Any] = {
        "name": f"{plan.deployment}-{role}",
        "image_name": f"${{var.{role}_image}}",
        "flavor_name": "${var.flavor}",
        "key_pair": "${var.key_name}",
        "network": [{"port": f"${{{port}}}"}],
        "metadata": {DEPLOYMENT: plan.deployment, ROLE: role},
    }
    if text := _user_data(plan, role):
        server["user_data"] = text
    return {
        "openstack_networking_secgroup_v2": {role: {"name": f"{plan.deployment}-{role}"}},
        "openstack_networking_secgroup_rule_v2": {
            f"{role}_{rule.words.replace('/', '_')}": _tofu_rule(rule, group) for rule in rules(role)
        },
        "openstack_networking_port_v2": {
            role: {"network_id": f"${{{network}}}", "security_group_ids": [f"${{{group}}}"]}
        },
        "openstack_compute_instance_v2": {role: server},
        "openstack_networking_floatingip_v2": {role: {"pool": "${var.external_network}", "port_id": f"${{{port}}}"}},
    }


def _tofu_rule(rule: Rule, group: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": rule.protocol,
        "remote_ip_prefix": "0.0.0.0/0",
        "security_group_id": f"${{{group}}}",
    }
    return found if rule.port is None else {**found, "port_range_min": rule.port, "port_range_max": rule.port}


def _user_data(plan: TemplatePlan, role: str) -> str:
    """Workers use the server of the same deployment, where there is one; its key they take from it."""
    if role != "worker" or "server" not in plan.roles:
        return ""
    return UserData({"SERVER": f"{plan.deployment}-server", "TRUST": "yes"}).text()
