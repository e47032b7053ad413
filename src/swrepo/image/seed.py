"""What a cloud would tell a machine at its first boot, as cloud-init reads it: on a small disk, or from a service."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from swrepo.image import programs
from swrepo.system.atomic import write_atomically

LATEST = "openstack/latest"

_SIZE = 1 << 20
_OWNER_ONLY = 0o600


class Source(StrEnum):
    """Where it is told: on a disk of cloud-init's own form, on OpenStack's, or by OpenStack's metadata service."""

    NO_CLOUD = "nocloud"
    CONFIG_DRIVE = "configdrive"
    SERVICE = "openstack"

    @property
    def label(self) -> str:
        """Of the disk's file system, by which cloud-init finds it."""
        return "CIDATA" if self is Source.NO_CLOUD else "CONFIG-2"

    @property
    def file(self) -> str:
        """What it is called beside the machine's other files."""
        return "metadata.json" if self is Source.SERVICE else "seed.img"


@dataclass(frozen=True, slots=True)
class Seed:
    """`instance`: a machine with another one is a new machine. `files`: path -> text, written at the first boot.

    `cards`: hardware address -> network address with prefix, or `dhcp`. `source`: in which form it is told.
    """

    instance: str
    hostname: str
    ssh_key: str
    files: Mapping[str, str] = field(default_factory=dict)
    cards: Mapping[str, str] = field(default_factory=dict)
    source: Source = Source.NO_CLOUD

    @property
    def _user_data(self) -> str:
        files = [{"path": path, "content": text, "permissions": "0600"} for path, text in self.files.items()]
        # An empty list is none to cloud-init, which warns of it.
        user = {"ssh_authorized_keys": [self.ssh_key], **({"write_files": files} if files else {})}
        return "#cloud-config\n" + json.dumps(user, indent=1)

    def documents(self) -> dict[str, str]:
        """The files that cloud-init reads, by name. JSON is YAML, and needs no library."""
        if self.source is not Source.NO_CLOUD:
            return self._openstack()
        found = {
            "meta-data": json.dumps({"instance-id": self.instance, "local-hostname": self.hostname}),
            "user-data": self._user_data,
        }
        if self.cards:
            cards = {f"card{number}": _card(*item) for number, item in enumerate(self.cards.items())}
            found["network-config"] = json.dumps({"version": 2, "ethernets": cards}, indent=1)
        return found

    def _openstack(self) -> dict[str, str]:
        about = {"uuid": self.instance, "hostname": self.hostname, "name": self.hostname}
        found = {
            f"{LATEST}/meta_data.json": json.dumps({**about, "public_keys": {"mine": self.ssh_key}}),
            f"{LATEST}/user_data": self._user_data,
        }
        if self.source is Source.SERVICE:
            # Beside its own form, OpenStack's service has Amazon's, and cloud-init asks for both.
            found |= {
                "latest/meta-data/instance-id": self.instance,
                "latest/meta-data/local-hostname": self.hostname,
            }
        if self.cards:
            links = [_link(number, hardware) for number, hardware in enumerate(self.cards)]
            networks = [_network(number, address) for number, address in enumerate(self.cards.values())]
            document = {"links": links, "networks": networks, "services": []}
            found[f"{LATEST}/network_data.json"] = json.dumps(document, indent=1)
        return found

    def write(self, directory: Path) -> None:
        """Make the disk, or what the service tells, in the machine's directory."""
        disk = directory / self.source.file
        if self.source is Source.SERVICE:
            write_atomically(disk, json.dumps(self.documents()).encode(), _OWNER_ONLY)
            return
        with disk.open("wb") as out:
            out.truncate(_SIZE)
        programs.run(["mkfs.vfat", "-n", self.source.label, disk])
        if self.source is Source.CONFIG_DRIVE:
            programs.run(["mmd", "-i", disk, "::openstack", f"::{LATEST}"])
        for name, text in self.documents().items():
            programs.run(["mcopy", "-i", disk, "-", f"::{name}"], text=text)


def _card(hardware: str, address: str) -> dict[str, object]:
    settings: dict[str, object] = {"dhcp4": True} if address == "dhcp" else {"addresses": [address], "optional": True}
    return {"match": {"macaddress": hardware}, **settings}


def _link(number: int, hardware: str) -> dict[str, Any]:
    return {"id": f"card{number}", "type": "phy", "ethernet_mac_address": hardware, "mtu": None}


def _network(number: int, address: str) -> dict[str, Any]:
    about = {"id": f"network{number}", "link": f"card{number}", "network_id": f"network{number}"}
    if address == "dhcp":
        return {**about, "type": "ipv4_dhcp"}
    own = ipaddress.ip_interface(address)
    return {**about, "type": "ipv4", "ip_address": str(own.ip), "netmask": str(own.netmask), "routes": []}
