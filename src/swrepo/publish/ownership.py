"""Whom a repository's files belong to, and giving them to that user."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from swrepo.errors import UsageError
from swrepo.publish.layout import KeyFiles


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom the repository's files belong to."""

    name: str
    uid: int
    gid: int


def owner_of(name: str | None) -> Owner:
    """The named user; without a name whoever runs this, who need not be in the user database."""
    own = os.geteuid()
    try:
        entry = pwd.getpwuid(own) if name is None else pwd.getpwnam(name)
    except KeyError as error:
        if name is None:
            return Owner(str(own), own, os.getegid())
        raise UsageError(f"there is no user {name} on this machine to own the repository; create it first") from error
    if own not in (0, entry.pw_uid):
        raise UsageError(f"only root can create a repository for another user ({name}); run this as {name} or root")
    return Owner(entry.pw_name, entry.pw_uid, entry.pw_gid)


def give_keys_to(owner: Owner, keys: KeyFiles) -> None:
    """Have the key files belong to somebody; the master key may be elsewhere."""
    for path in (keys.master, keys.public, keys.signing, keys.certificate):
        if path.exists():
            os.chown(path, owner.uid, owner.gid)


def give_to(owner: Owner, top: Path) -> None:
    """Have a directory and all that is in it belong to somebody."""
    for directory, _, files in os.walk(top):
        for name in (".", *files):
            os.chown(os.path.join(directory, name), owner.uid, owner.gid, follow_symlinks=False)
