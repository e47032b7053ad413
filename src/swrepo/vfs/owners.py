"""Other owners and modes than the published ones: CVMFS_CLAIM_OWNERSHIP, CVMFS_UID_MAP, CVMFS_WORLD_READABLE.

As in the original, who claims ownership wins over the maps.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from swrepo.config.owner_map import OwnerMap, read_map
from swrepo.config.parameters import OwnershipParameters
from swrepo.repository.status import Status
from swrepo.system.user import is_root


@dataclass(frozen=True, slots=True)
class Owners:
    """What is shown in place of a published status."""

    uids: OwnerMap = field(default_factory=OwnerMap)
    gids: OwnerMap = field(default_factory=OwnerMap)
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
