"""What a machine of each role needs of a cloud: from this, machines are launched and templates written."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from swrepo.errors import UsageError

DEPLOYMENT = "swrepo"
"""The key of a server's metadata that says which deployment it belongs to."""

ROLE = "swrepo_role"
SETTINGS = "/etc/swrepo/machine.conf"

MEMORY_MB = 1024
DISK_GB = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """Traffic that may come in. `port` is None for all of a protocol."""

    protocol: str
    port: int | None
    why: str

    @property
    def words(self) -> str:
        return self.protocol if self.port is None else f"{self.protocol}/{self.port}"


_SSH = Rule("tcp", 22, "ssh")
_PING = Rule("icmp", None, "ping")
_WEB = Rule("tcp", 80, "repositories over HTTP")
PROXY = Rule("tcp", 3128, "a web cache (Squid)")

RULES: Mapping[str, tuple[Rule, ...]] = {
    "server": (_SSH, _WEB, _PING),
    "client": (_SSH, _PING),
    "worker": (_SSH, _PING),
}
"""Exactly what has to be open, by role."""


def rules(role: str, *, proxy: bool = False) -> tuple[Rule, ...]:
    """The rules of a role; `proxy`: it runs a web cache too. UsageError where there is no such role."""
    if role not in RULES:
        raise UsageError(f"there is no role {role!r}; there are {', '.join(RULES)}")
    return (*RULES[role], PROXY) if proxy else RULES[role]


@dataclass(frozen=True, slots=True)
class UserData:
    """What a machine is told at its first boot. `settings` become /etc/swrepo/machine.conf."""

    settings: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, bytes] = field(default_factory=dict)

    def text(self) -> str:
        """A document for cloud-init; empty where there is nothing to say."""
        files = [
            {"path": f"/etc/swrepo/keys/{name}", "content": data.decode("utf-8"), "permissions": "0600"}
            for name, data in sorted(self.keys.items())
        ]
        if self.settings:
            lines = "".join(f"{key}={_quoted(value)}\n" for key, value in self.settings.items())
            files.append({"path": SETTINGS, "content": lines, "permissions": "0644"})
        return f"#cloud-config\n{json.dumps({'write_files': files}, indent=1)}\n" if files else ""

    def encoded(self) -> str | None:
        """As the compute service takes it."""
        text = self.text()
        return base64.b64encode(text.encode()).decode("ascii") if text else None


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"
