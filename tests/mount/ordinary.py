"""Starts a program as an ordinary user, from root: `python ordinary.py NEEDED:NEEDED:... PROGRAM ARGUMENT ...`.

`NEEDED` are directories that the user must be able to reach. Those above them that are root's alone (/root, pytest's
directory) are replaced, in a mount namespace of the program's own, by directories that lead to the needed ones only.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from swrepo.system import mounts

USER = 12345
"""A user without an entry in the table of users, as in many a container."""

ROOT = Path(__file__).resolve().parents[2]


def command(words: list[str], *needed: Path) -> list[str]:
    """What starts `words` as an ordinary user: as oneself, if one is not root."""
    if os.geteuid() != 0:
        return words
    reachable = [Path(sys.prefix), Path(sys.base_prefix), ROOT, *needed]
    return [sys.executable, str(Path(__file__)), ":".join(map(str, reachable)), *words]


def open_the_way(needed: list[Path]) -> None:
    blocked: dict[Path, list[Path]] = {}
    for path in needed:
        closed = [above for above in reversed(path.parents) if not above.stat().st_mode & 0o001]
        if closed:
            blocked.setdefault(closed[0], []).append(path)
    for directory, inside in blocked.items():
        here = tempfile.mkdtemp(dir="/tmp")
        mounts.mount("none", here, "tmpfs", 0, "mode=0755")
        for path in inside:
            target = Path(here) / path.relative_to(directory)
            target.mkdir(parents=True, exist_ok=True)
            mounts.mount(str(path), str(target), None, mounts.BIND | mounts.REC)
        mounts.mount(here, str(directory), None, mounts.BIND | mounts.REC)
        mounts.detach(here)
        os.rmdir(here)


def main() -> None:
    needed, *words = sys.argv[1:]
    mounts.unshare(mounts.NEW_MOUNTS)
    mounts.mount("none", "/", None, mounts.REC | mounts.SLAVE)
    open_the_way([Path(path) for path in needed.split(":")])
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)
    os.execvp(words[0], words)


if __name__ == "__main__":
    main()
