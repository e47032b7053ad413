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
_SWITCHES = ("allow_other", "suid", "dev", "passthrough", "list")
_PARAMETERS = {
    "quota": "CVMFS_QUOTA_LIMIT",
    "metrics": "CVMFS_METRICS",
    "prefetch": "CVMFS_PREFETCH",
    "fill": "CVMFS_PREFETCH_BELOW",
}
"""Options that are short for a parameter."""

_REVISIONS = {
    "tag": "CVMFS_REPOSITORY_TAG",
    "date": "CVMFS_REPOSITORY_DATE",
    "hash": "CVMFS_ROOT_HASH",
    "root_hash": "CVMFS_ROOT_HASH",
}
"""Those that choose a revision; they win over whatever a configuration chooses, and by whichever parameter."""

_LONGEST = 86400


@dataclass(frozen=True, slots=True)
class MountOptions:
    """`parameters` are PARAMETER=VALUE settings that win over every configuration file.

    `list_all`: repositories are listed before they are used. `idle`: seconds, 0 for never; None: as usual.
    """

    allow_other: bool = False
    suid: bool = False
    dev: bool = False
    passthrough: bool = False
    list_all: bool = False
    deadline: float | None = None
    idle: float | None = None
    parameters: tuple[str, ...] = ()


def parse(words: Iterable[str]) -> MountOptions:
    """Read option words, each perhaps several with commas between. UsageError names one that nobody knows."""
    switches: set[str] = set()
    deadline = idle = None
    parameters: list[str] = []
    chosen: dict[str, str] = {}
    for word in _single(words):
        name, given, value = word.partition("=")
        if word in _SWITCHES:
            switches.add(word)
        elif given and name == "deadline":
            deadline = _seconds(name, value, least=1)
        elif given and name == "idle":
            idle = _seconds(name, value, least=0)
        elif given and name in _REVISIONS:
            chosen[_REVISIONS[name]] = value
        elif given and name in _PARAMETERS:
            parameters.append(f"{_PARAMETERS[name]}={value}")
        elif given and name.isupper():
            parameters.append(word)
        elif word not in OF_MOUNT_8 and not word.startswith(_IGNORED_PREFIXES):
            values = ["tag=NAME", "date=TIME", "hash=HASH", "quota=MB", "metrics=HOST:PORT", "prefetch=no", "fill=PATH"]
            values += ["deadline=SECONDS", "idle=SECONDS"]
            known = ", ".join([*_SWITCHES, *values, "PARAMETER=VALUE"])
            raise UsageError(f"-o {word} is unknown; there are {known}")
    if len(chosen) > 1:
        raise UsageError("only one of -o tag, -o date and -o hash can choose the revision")
    if chosen:
        parameters += [f"{name}={chosen.get(name, '')}" for name in dict.fromkeys(_REVISIONS.values())]
    return MountOptions(
        allow_other="allow_other" in switches,
        suid="suid" in switches,
        dev="dev" in switches,
        passthrough="passthrough" in switches,
        list_all="list" in switches,
        deadline=deadline,
        idle=idle,
        parameters=tuple(parameters),
    )


def _seconds(name: str, text: str, least: int) -> float:
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= _LONGEST:
        raise UsageError(f"-o {name}={text}: a whole number of seconds is needed, from {least} to {_LONGEST}")
    return float(text)


def _single(words: Iterable[str]) -> Iterable[str]:
    """Words without commas."""
    for word in words:
        yield from (part for part in word.split(",") if part)
