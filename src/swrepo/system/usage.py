"""How often a machine was started and how long it ran and was used, over all its boots: counted at intervals, kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from swrepo.system.atomic import make_directory, write_atomically

USAGE = Path("var/lib/swrepo/usage.json")
"""Below a machine's root."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was counted. `boot`: the kernel's name of the last boot that was, `counted`: its age then, in seconds."""

    boots: int = 0
    up: float = 0.0
    used: float = 0.0
    boot: str = ""
    counted: float = 0.0

    def at(self, boot: str, age: float, *, in_use: bool) -> Usage:
        """Counted again, `age` seconds after `boot` began; `in_use` stands for all the time since the last count."""
        is_new = boot != self.boot
        passed = age if is_new else max(0.0, age - self.counted)
        return replace(
            self,
            boots=self.boots + is_new,
            up=self.up + passed,
            used=self.used + (passed if in_use else 0.0),
            boot=boot,
            counted=max(age, 0.0 if is_new else self.counted),
        )


def load(root: Path) -> Usage | None:
    """What is kept of the machine whose file system is `root`; None where nothing is, or nothing that can be read."""
    try:
        found = json.loads((root / USAGE).read_text("utf-8"))
        numbers = [float(found[name]) for name in ("up", "used", "counted")]
        return Usage(int(found["boots"]), numbers[0], numbers[1], str(found["boot"]), numbers[2])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(root: Path, usage: Usage) -> None:
    """Write it; a crash leaves the last count or this one."""
    make_directory((root / USAGE).parent)
    write_atomically(root / USAGE, (json.dumps(asdict(usage)) + "\n").encode())


def now(root: Path) -> tuple[str, float]:
    """The kernel's name of this boot, and its age in seconds."""
    boot = (root / "proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return boot, float((root / "proc/uptime").read_text("ascii").split()[0])


def has_user(proc: Path, below: str) -> bool:
    """Whether a process runs a program, works in a directory, or has a file open or mapped, below `below`."""
    return any(
        path.startswith(below) for process in proc.iterdir() if process.name.isdigit() for path in _paths_of(process)
    )


def _paths_of(process: Path) -> Iterator[str]:
    """What a process uses; nothing of one that ended meanwhile."""
    for name in ("exe", "cwd"):
        with suppress(OSError):
            yield os.readlink(process / name)
    with suppress(OSError):
        for link in (process / "fd").iterdir():
            with suppress(OSError):
                yield os.readlink(link)
    with suppress(OSError):
        for line in (process / "maps").read_text("utf-8", "replace").splitlines():
            yield line[line.find("/") :] if "/" in line else ""
