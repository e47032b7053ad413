"""Under which addresses others reach this machine, the most useful one first."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_TOLD = Path("run/cloud-init/instance-data.json")
_PUBLIC = "public-ipv4"
_FOR_NOBODY = tuple(
    ipaddress.ip_network(network) for network in ("10.0.2.0/24", "fec0::/10", "169.254.0.0/16", "fe80::/10")
)
"""What emulators give a machine towards its host alone, and what no router passes on."""


def addresses(root: Path) -> list[str]:
    """The address that the cloud tells first, then those of the cards, as `ip` tells them; the best first."""
    words = ["ip", "-json", "address", "show", "scope", "global", "up"]
    try:
        shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        cards = json.loads(shown or "[]")
    except (OSError, subprocess.CalledProcessError, ValueError):
        cards = []
    found = [address["local"] for card in cards for address in card.get("addr_info", ()) if "local" in address]
    return ranked(found, public(root))


def ranked(own: Iterable[str], told: str) -> list[str]:
    """Each once: what the cloud told, IPv4, IPv6, and last what others cannot reach."""
    found = list(dict.fromkeys([told, *own] if told else own))
    return sorted(found, key=lambda text: (text != told, _is_for_nobody(text), ":" in text))


def public(root: Path) -> str:
    """The public (floating) address, where cloud-init was told one; empty otherwise."""
    try:
        told = json.loads((root / _TOLD).read_text("utf-8")).get("ds", {})
    except (OSError, ValueError, AttributeError):
        return ""
    return next((text for text in _values(told, _PUBLIC) if _is_address(text)), "")


def _values(node: Any, key: str) -> Iterable[str]:
    """All texts of that key, at any depth: each kind of cloud has it elsewhere."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield str(value)
            else:
                yield from _values(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _values(value, key)


def _is_for_nobody(text: str) -> bool:
    return _is_address(text) and any(ipaddress.ip_address(text) in network for network in _FOR_NOBODY)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
