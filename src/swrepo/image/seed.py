"""What a cloud would tell a machine at its first boot, as a small disk for cloud-init: NoCloud or ConfigDrive."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from swrepo.image import programs

_SIZE = 1 << 20
_LATEST = "openstack/latest"


class Source(StrEnum):
    """The form of the disk: cloud-init's own, or that of OpenStack without a metadata service."""

    NO_CLOUD = "nocloud"
    CONFIG_DRIVE = "configdrive"

    @property
    def label(self) -> str:
        """Of the file system, by which cloud-init finds it."""
        return {Source.NO_CLOUD: "CIDATA", Source.CONFIG_DRIVE: "CONFIG-2"}[self]


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
        user = {"ssh_authorized_keys": [self.ssh_key], "write_files": files}
        return "#cloud-config\n" + json.dumps(user, indent=1)

    def documents(self) -> dict[str, str]:
        """The files that cloud-init reads, by name. JSON is YAML, and needs no library."""
        if self.source is Source.CONFIG_DRIVE:
            return self._config_drive()
        found = {
            "meta-data": json.dumps({"instance-id": self.instance, "local-hostname": self.hostname}),
            "user-data": self._user_data,
        }
        if self.cards:
            cards = {f"card{number}": _card(*item) for number, item in enumerate(self.cards.items())}
            found["network-config"] = json.dumps({"version": 2, "ethernets": cards}, indent=1)
        return found

    def _config_drive(self) -> dict[str, str]:
        about = {"uuid": self.instance, "hostname": self.hostname, "name": self.hostname}
        found = {
            f"{_LATEST}/meta_data.json": json.dumps({**about, "public_keys": {"mine": self.ssh_key}}),
            f"{_LATEST}/user_data": self._user_data,
        }
        if self.cards:
            links = [_link(number, hardware) for number, hardware in enumerate(self.cards)]
            networks = [_network(number, address) for number, address in enumerate(self.cards.values())]
            document = {"links": links, "networks": networks, "services": []}
            found[f"{_LATEST}/network_data.json"] = json.dumps(document, indent=1)
        return found

    def write(self, disk: Path) -> None:
        """Make the disk image `disk`."""
        with disk.open("wb") as out:
            out.truncate(_SIZE)
        programs.run(["mkfs.vfat", "-n", self.source.label, disk])
        if self.source is Source.CONFIG_DRIVE:
            programs.run(["mmd", "-i", disk, "::openstack", f"::{_LATEST}"])
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
