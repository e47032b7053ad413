"""What `-o` may say to `swrepo mount` and `mount.cvmfs`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from swrepo.errors import UsageError

_WORDS = """
ro rw defaults auto noauto user nouser users owner group nofail _netdev exec noexec async atime noatime relatime
nosuid nodev default_permissions
"""
OF_MOUNT_8 = frozenset(_WORDS.split())
"""Words that mount(8) and /etc/fstab pass on, and that mean nothing to a read-only file system or are so anyway."""

_IGNORED_PREFIXES = ("x-", "comment=", "fsname=", "subtype=", "uid=", "gid=", "libfuse=")
_SWITCHES = ("allow_other", "suid", "dev")
_VALUES = ("tag", "hash", "root_hash", "deadline")
_PARAMETERS = {"quota": "CVMFS_QUOTA_LIMIT"}
"""Options that are short for a parameter."""

_LONGEST_DEADLINE = 86400


@dataclass(frozen=True, slots=True)
class MountOptions:
    """`parameters` are PARAMETER=VALUE settings that win over every configuration file."""

    allow_other: bool = False
    suid: bool = False
    dev: bool = False
    tag: str | None = None
    root_hash: str | None = None
    deadline: float | None = None
    parameters: tuple[str, ...] = ()


def parse(words: Iterable[str]) -> MountOptions:
    """Read option words, each perhaps several with commas between. UsageError names one that nobody knows."""
    switches: set[str] = set()
    values: dict[str, str] = {}
    parameters: list[str] = []
    for word in _single(words):
        name, given, value = word.partition("=")
        if word in _SWITCHES:
            switches.add(word)
        elif given and name in _VALUES:
            values["hash" if name == "root_hash" else name] = value
        elif given and name in _PARAMETERS:
            parameters.append(f"{_PARAMETERS[name]}={value}")
        elif given and name.isupper():
            parameters.append(word)
        elif word not in OF_MOUNT_8 and not word.startswith(_IGNORED_PREFIXES):
            known = ", ".join([*_SWITCHES, "tag=NAME", "hash=HASH", "quota=MB", "deadline=SECONDS", "PARAMETER=VALUE"])
            raise UsageError(f"-o {word} is unknown; there are {known}")
    return MountOptions(
        allow_other="allow_other" in switches,
        suid="suid" in switches,
        dev="dev" in switches,
        tag=values.get("tag"),
        root_hash=values.get("hash"),
        deadline=_seconds(values["deadline"]) if "deadline" in values else None,
        parameters=tuple(parameters),
    )


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= _LONGEST_DEADLINE:
        raise UsageError(f"-o deadline={text}: a whole number of seconds is needed, from 1 to {_LONGEST_DEADLINE}")
    return float(text)


def _single(words: Iterable[str]) -> Iterable[str]:
    """Words without commas."""
    for word in words:
        yield from (part for part in word.split(",") if part)
