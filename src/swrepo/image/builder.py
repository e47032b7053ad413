"""Who builds: root, or an ordinary user who is root of a user namespace; and what the machine must give for that."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from swrepo.errors import PermissionRefused, SwrepoError
from swrepo.image import programs

AS_NAMESPACE_ROOT = ("mmdebstrap", "--unshare-helper", "env", "--chdir=/")
"""Runs a program as the user whom the files of a system belong to, who may not enter where we are."""

ROOM = 65536
"""How many users a namespace has: as many as a system of Debian knows."""

_FIRST = 100_000  # where ranges begin by custom
_ELSEWHERE = Path("/var/tmp")  # noqa: S108 - what is in it has a name that nobody knows, and an owner
_OTHERS_ENTER = 0o001


def is_root() -> bool:
    """Whether no namespace is needed."""
    return os.geteuid() == 0


def require_namespace() -> None:
    """Raises, before any work is done, where this user cannot be root of a namespace with enough users in it."""
    if is_root():
        return
    programs.require(("newuidmap", "newgidmap"))
    require_ranges(_name())
    try:
        programs.run([*AS_NAMESPACE_ROOT, "true"])
    except SwrepoError as error:
        raise PermissionRefused(f"this machine lets no ordinary user be root of a user namespace: {error}") from error


def require_ranges(name: str, etc: Path = Path("/etc")) -> None:
    """PermissionRefused, with the command that helps, where the machine has not given the user `name` other ids."""
    lacking = [path for path in (etc / "subuid", etc / "subgid") if _first_range(path, name) < ROOM]
    if not lacking:
        return
    first = max([_FIRST, *(end for path in (etc / "subuid", etc / "subgid") for _, _, end in _ranges(path))])
    span = f"{first}-{first + ROOM - 1}"
    raise PermissionRefused(
        f"an ordinary user builds images with {ROOM} user and group ids of its own, and {name} has none in "
        f"{' and '.join(map(str, lacking))}; an administrator gives them, once:\n"
        f"  usermod --add-subuids {span} --add-subgids {span} {name}"
    )


def _first_range(path: Path, name: str) -> int:
    """How many ids the user's first range has: no other is used."""
    return next((end - start for owner, start, end in _ranges(path) if owner == name), 0)


def _ranges(path: Path) -> Iterator[tuple[str, int, int]]:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        owner, _, numbers = line.partition(":")
        start, _, count = numbers.partition(":")
        if start.strip().isdigit() and count.strip().isdigit():
            yield owner, int(start), int(start) + int(count)


def _name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def workshop(folder: Path) -> Path:
    """Where to build what goes to `folder`: there, or, where the users of the namespace cannot enter, elsewhere."""
    real = folder.resolve()
    if is_root() or all(path.stat().st_mode & _OTHERS_ENTER for path in (real, *real.parents)):
        return folder
    return _ELSEWHERE
