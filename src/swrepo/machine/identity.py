"""A disk that is started on another machine than before (a snapshot that was launched) becomes a machine of its own.

It gets a new machine id, new host keys and counters that begin at 0, and loses what it had cached; what a person has
set up, and what a server publishes, stays. Runs before the network does, for addresses are asked for in the name of the
machine id.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from swrepo.system.atomic import make_directory, write_atomically
from swrepo.system.usage import USAGE

_LAST = Path("var/lib/swrepo/started-on")
_MACHINE_ID = Path("etc/machine-id")
_OWN = ("etc/ssh/ssh_host_*", "var/lib/systemd/random-seed", "var/lib/systemd/network/*", "var/lib/dbus/machine-id")
_COUNTERS = str(USAGE)
_CACHES = "var/lib/cvmfs/*"
_FIRMWARE = Path("sys/class/dmi/id/product_uuid")
_NO_IDENTIFIERS = frozenset({"", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"})


@dataclass(frozen=True, slots=True)
class Renewal:
    """What was done at this boot: `renewed` where the machine is another one than the last time."""

    renewed: bool
    removed: tuple[str, ...] = ()


def hardware(root: Path) -> str:
    """What tells a machine from others: its firmware's identifier, else its network cards; empty if neither."""
    try:
        found = (root / _FIRMWARE).read_text("ascii").strip().lower()
    except (OSError, UnicodeError):
        found = ""
    if found not in _NO_IDENTIFIERS:
        return found
    cards = [path for path in (root / "sys/class/net").glob("*/address") if (path.parent / "device").exists()]
    return " ".join(sorted(path.read_text("ascii").strip() for path in cards))


def renew(root: Path, machine_id: str) -> Renewal:
    """Make the system below `root` one of its own if its hardware is new to it; `machine_id` is what it then gets.

    Killed in the middle, it begins again at the next boot: the note of the hardware is written last.
    """
    here, note = hardware(root), root / _LAST
    before = note.read_text("utf-8").strip() if note.exists() else None
    if not here or here == before:
        return Renewal(renewed=False)
    removed = _forget(root) if before is not None else ()
    if before is not None:
        write_atomically(root / _MACHINE_ID, f"{machine_id}\n".encode(), 0o444)
    make_directory(note.parent)
    write_atomically(note, f"{here}\n".encode())
    return Renewal(before is not None, removed)


def _forget(root: Path) -> tuple[str, ...]:
    removed: list[str] = []
    for pattern in (*_OWN, _COUNTERS, _CACHES):
        for path in sorted(root.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            removed.append(str(path.relative_to(root)))
    return tuple(removed)
