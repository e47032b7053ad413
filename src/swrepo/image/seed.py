"""What a cloud would tell a machine at its first boot, as a small disk for cloud-init (NoCloud)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from swrepo.image import programs

_SIZE = 1 << 20
_LABEL = "CIDATA"


@dataclass(frozen=True, slots=True)
class Seed:
    """`instance`: a machine with another one is a new machine. `files`: path -> text, written at the first boot.

    `cards`: hardware address -> network address with prefix, or `dhcp`.
    """

    instance: str
    hostname: str
    ssh_key: str
    files: Mapping[str, str] = field(default_factory=dict)
    cards: Mapping[str, str] = field(default_factory=dict)

    def documents(self) -> dict[str, str]:
        """The files that cloud-init reads. JSON is YAML, and needs no library."""
        files = [{"path": path, "content": text, "permissions": "0600"} for path, text in self.files.items()]
        user = {"ssh_authorized_keys": [self.ssh_key], "write_files": files}
        found = {
            "meta-data": json.dumps({"instance-id": self.instance, "local-hostname": self.hostname}),
            "user-data": "#cloud-config\n" + json.dumps(user, indent=1),
        }
        if self.cards:
            cards = {f"card{number}": _card(*item) for number, item in enumerate(self.cards.items())}
            found["network-config"] = json.dumps({"version": 2, "ethernets": cards}, indent=1)
        return found

    def write(self, disk: Path) -> None:
        """Make the disk image `disk`."""
        with disk.open("wb") as out:
            out.truncate(_SIZE)
        programs.run(["mkfs.vfat", "-n", _LABEL, disk])
        for name, text in self.documents().items():
            programs.run(["mcopy", "-i", disk, "-", f"::{name}"], text=text)


def _card(hardware: str, address: str) -> dict[str, object]:
    settings: dict[str, object] = {"dhcp4": True} if address == "dhcp" else {"addresses": [address], "optional": True}
    return {"match": {"macaddress": hardware}, **settings}
