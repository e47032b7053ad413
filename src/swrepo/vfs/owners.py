"""Other owners and modes than the published ones: CVMFS_CLAIM_OWNERSHIP, CVMFS_UID_MAP, CVMFS_WORLD_READABLE.

As in the original, who claims ownership wins over the maps.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from swrepo.config.parameters import OwnershipParameters
from swrepo.errors import ConfigError
from swrepo.repository.status import Status
from swrepo.system.user import is_root

_LARGEST_ID = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class OwnerMap:
    """Published numbers -> shown ones; `others` is shown for those that are not listed (None: as published)."""

    listed: Mapping[int, int] = field(default_factory=dict)
    others: int | None = None

    def __call__(self, published: int) -> int:
        found = self.listed.get(published, self.others)
        return published if found is None else found


@dataclass(frozen=True, slots=True)
class Owners:
    """What is shown in place of a published status."""

    uids: OwnerMap = OwnerMap()
    gids: OwnerMap = OwnerMap()
    world_readable: bool = False

    def shown(self, found: Status) -> Status:
        """The status with other owners."""
        mode = found.mode
        if self.world_readable:
            # Directories can be entered, and what its owner may execute everybody may.
            mode |= 0o555 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o444
        return found._replace(mode=mode, uid=self.uids(found.uid), gid=self.gids(found.gid))


def owners_of(parameters: OwnershipParameters) -> Owners | None:
    """What the parameters ask for; None where everything is shown as published. ConfigError for an unusable map."""
    if parameters == OwnershipParameters(user=parameters.user):
        return None
    uids = read_map(Path(parameters.uid_map)) if parameters.uid_map else OwnerMap()
    gids = read_map(Path(parameters.gid_map)) if parameters.gid_map else OwnerMap()
    if parameters.claim:
        uid, gid = _claimant(parameters.user)
        uids, gids = OwnerMap(others=uid), OwnerMap(others=gid)
    return Owners(uids, gids, parameters.world_readable)


def read_map(path: Path) -> OwnerMap:
    """Lines `PUBLISHED SHOWN`; `* SHOWN` for all others; comments begin with #."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read the map of owners {path}: {error.strerror}") from error
    listed: dict[int, int] = {}
    others: int | None = None
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not _is_id(words[1]) or not (words[0] == "*" or _is_id(words[0])):
            raise ConfigError(f"{path}, line {number}: {line.strip()!r} is not PUBLISHED SHOWN (numbers; * for others)")
        if words[0] == "*":
            others = int(words[1])
        else:
            listed[int(words[0])] = int(words[1])
    return OwnerMap(listed, others)


def _is_id(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 10 and int(word) <= _LARGEST_ID


def _claimant(user: str | None) -> tuple[int, int]:
    """The user of that name where root mounts and there is one; else who mounts."""
    if user is not None and is_root():
        import pwd  # noqa: PLC0415 - not on every system

        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            pass
        else:
            return entry.pw_uid, entry.pw_gid
    return os.getuid(), os.getgid()
