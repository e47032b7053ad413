"""An attached volume for a server's storage: which disk it is, and the commands that put it in place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

LABEL = "swrepo-data"
MOUNTPOINT = "/srv/cvmfs"
LISTING = (
    "lsblk",
    "--json",
    "--list",
    "--bytes",
    "--output",
    "PATH,KNAME,PKNAME,TYPE,LABEL,FSTYPE,MOUNTPOINTS,SIZE,RO",
)
"""A line for each disk and each part of one; PKNAME is what a part belongs to."""

_LEAST = 1 << 30
"""Bytes of a disk that is taken for storage unasked; smaller ones carry settings."""


class Volume(NamedTuple):
    """A disk for the storage. `is_new`: it holds nothing yet, and gets a file system. `is_in_place`: it is mounted."""

    device: str
    is_new: bool
    is_in_place: bool = False


def choose(listing: str, wanted: str) -> Volume | None:
    """The volume among what LISTING printed. `wanted`: `auto`, `none` or a device.

    What holds anything that is not ours is left alone, unless it was named and has a file system: then that is used.
    """
    if wanted == "none":
        return None
    devices: list[Mapping[str, Any]] = json.loads(listing)["blockdevices"]
    divided = {device["pkname"] for device in devices}
    for device in devices:
        in_place = MOUNTPOINT in device["mountpoints"]
        if wanted == "auto" and device["label"] == LABEL:
            return Volume(device["path"], is_new=False, is_in_place=in_place)
        if device["path"] == wanted:
            return Volume(wanted, not device["fstype"] and device["kname"] not in divided, in_place)
    if wanted != "auto":
        return None
    empty = [device["path"] for device in devices if device["kname"] not in divided and _is_empty(device)]
    return Volume(empty[0], is_new=True) if len(empty) == 1 else None


def commands(volume: Volume) -> list[tuple[str, ...]]:
    """What makes it the storage, now and at each boot; nothing where it is that already."""
    if volume.is_in_place:
        return []
    found: list[tuple[str, ...]] = []
    if volume.is_new:
        found.append(("mkfs.ext4", "-q", "-L", LABEL, volume.device))
    return [*found, ("mkdir", "-p", MOUNTPOINT), ("mount", volume.device, MOUNTPOINT)]


def _is_empty(device: Mapping[str, Any]) -> bool:
    used = device["ro"] or device["fstype"] or device["label"] or any(device["mountpoints"])
    return device["type"] == "disk" and not used and device["size"] >= _LEAST
