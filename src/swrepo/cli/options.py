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
_SWITCHES = ("allow_other", "suid", "dev", "passthrough")
_PARAMETERS = {"quota": "CVMFS_QUOTA_LIMIT"}
"""Options that are short for a parameter."""

_REVISIONS = {
    "tag": "CVMFS_REPOSITORY_TAG",
    "date": "CVMFS_REPOSITORY_DATE",
    "hash": "CVMFS_ROOT_HASH",
    "root_hash": "CVMFS_ROOT_HASH",
}
"""Those that choose a revision; they win over whatever a configuration chooses, and by whichever parameter."""

_LONGEST_DEADLINE = 86400


@dataclass(frozen=True, slots=True)
class MountOptions:
    """`parameters` are PARAMETER=VALUE settings that win over every configuration file."""

    allow_other: bool = False
    suid: bool = False
    dev: bool = False
    passthrough: bool = False
    deadline: float | None = None
    parameters: tuple[str, ...] = ()


def parse(words: Iterable[str]) -> MountOptions:
    """Read option words, each perhaps several with commas between. UsageError names one that nobody knows."""
    switches: set[str] = set()
    deadline: float | None = None
    parameters: list[str] = []
    chosen: dict[str, str] = {}
    for word in _single(words):
        name, given, value = word.partition("=")
        if word in _SWITCHES:
            switches.add(word)
        elif given and name == "deadline":
            deadline = _seconds(value)
        elif given and name in _REVISIONS:
            chosen[_REVISIONS[name]] = value
        elif given and name in _PARAMETERS:
            parameters.append(f"{_PARAMETERS[name]}={value}")
        elif given and name.isupper():
            parameters.append(word)
        elif word not in OF_MOUNT_8 and not word.startswith(_IGNORED_PREFIXES):
            values = ["tag=NAME", "date=TIME", "hash=HASH", "quota=MB", "deadline=SECONDS", "PARAMETER=VALUE"]
            known = ", ".join([*_SWITCHES, *values])
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
        deadline=deadline,
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
