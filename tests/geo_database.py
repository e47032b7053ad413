"""A MaxMind database (.mmdb) of a few networks, made by the published description of the format (version 2.0)."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MARKER = b"\xab\xcd\xefMaxMind.com"
_RECORD_BITS = 24


def write_places(path: Path, places: Mapping[str, tuple[float, float]]) -> Path:
    """Networks (`192.0.2.0/24`, `2001:db8::/32`) with their degrees north and east."""
    nodes: list[list[int | None]] = [[None, None]]
    leaves: list[tuple[int, int, int]] = []  # node, side, offset of its data
    data = b""
    for network, (latitude, longitude) in places.items():
        leaf = _leaf(nodes, _bits(network))
        leaves.append((*leaf, len(data)))
        data += _encoded({"location": {"latitude": latitude, "longitude": longitude}})
    count = len(nodes)
    for node, side, offset in leaves:
        nodes[node][side] = count + 16 + offset
    tree = b"".join((count if found is None else found).to_bytes(3, "big") for node in nodes for found in node)
    about = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_790_000_000,
        "database_type": "Test-City",
        "description": {"en": "places of tests"},
        "ip_version": 6,
        "languages": [],
        "node_count": count,
        "record_size": _RECORD_BITS,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tree + bytes(16) + data + _MARKER + _encoded(about))
    return path


def _bits(network: str) -> str:
    """The way through the tree: addresses of version 4 lie below 96 zeros."""
    found = ipaddress.ip_network(network)
    text = f"{int(found.network_address):0{found.max_prefixlen}b}"[: found.prefixlen]
    return text if found.version == 6 else "0" * 96 + text


def _leaf(nodes: list[list[int | None]], bits: str) -> tuple[int, int]:
    node = 0
    for bit in bits[:-1]:
        side = int(bit)
        following = nodes[node][side]
        if following is None:
            following = nodes[node][side] = len(nodes)
            nodes.append([None, None])
        node = following
    return node, int(bits[-1])


def _encoded(value: Any) -> bytes:
    if isinstance(value, dict):
        return bytes([7 << 5 | len(value)]) + b"".join(_encoded(key) + _encoded(item) for key, item in value.items())
    if isinstance(value, list):
        return bytes([len(value), 11 - 7])
    if isinstance(value, str):
        return bytes([2 << 5 | len(value)]) + value.encode()
    if isinstance(value, float):
        return bytes([3 << 5 | 8]) + struct.pack(">d", value)
    return bytes([6 << 5 | 4]) + struct.pack(">I", value)
