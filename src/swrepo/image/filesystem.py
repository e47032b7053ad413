"""A directory -> an ext4 file system in a disk: the same bytes from the same tree, whenever and wherever it is made.

What a tree looks like depends on when it was installed (files that were made then) and on who has read it (times of
access), and no program sets the time at which a file's status last changed. So times are made even twice: those that
can be set before the file system is made, the others in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swrepo.image import programs
from swrepo.image.recipe import ROOT_LABEL

_TIMES = ("atime", "ctime", "crtime")
_FREE = re.compile(r"^  Free inodes: ?(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Ext4:
    """How to make one. `number`, `hash_seed`: its identifiers. `epoch`: the latest time, in Unix seconds, in it.

    `as_builder` runs a program as the user whom the directory's files belong to.
    """

    number: str
    hash_seed: str
    epoch: int
    as_builder: tuple[str, ...] = ()

    @property
    def _environment(self) -> dict[str, str]:
        # Names are sorted as bytes. Later releases know the second variable, and then need no more.
        time = str(self.epoch)
        return {"E2FSPROGS_FAKE_TIME": time, "SOURCE_DATE_EPOCH": time, "LC_ALL": "C.UTF-8"}

    def make(self, directory: Path, disk: Path, offset: int, size: int) -> None:
        """Put what is in `directory` into `size` bytes of `disk` from `offset` on. Changes times in the directory."""
        self._clamp(directory)
        words = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", ROOT_LABEL, "-m", "1", "-d", str(directory)]
        words += ["-U", self.number]
        words += ["-E", f"offset={offset},hash_seed={self.hash_seed},lazy_itable_init=1"]
        programs.run([*self.as_builder, *words, str(disk), f"{size // 1024}k"], environment=self._environment)
        self._set_times(f"{disk}?offset={offset}")

    def _clamp(self, directory: Path) -> None:
        """What is younger than the epoch becomes as old as that: it was made while the tree was."""
        touch = ["touch", "--no-dereference", f"--date=@{self.epoch}"]
        words = ["find", str(directory), "-newermt", f"@{self.epoch}", "-exec", *touch, "{}", "+"]
        programs.run([*self.as_builder, *words])

    def _set_times(self, disk: str) -> None:
        """The times that nobody sets in a directory, in all that is there."""
        told = programs.run(["dumpe2fs", disk], environment=self._environment)
        commands = [f"sif <{number}> {time} @{self.epoch}\n" for number in used_inodes(told) for time in _TIMES]
        programs.run(["debugfs", "-w", "-f", "-", disk], environment=self._environment, text="".join(commands))


def used_inodes(told: str) -> Iterator[int]:
    """The numbers of all inodes in use, from what dumpe2fs tells of a file system."""
    count = re.search(r"^Inode count: +(\d+)$", told, re.MULTILINE)
    first = re.search(r"^First inode: +(\d+)$", told, re.MULTILINE)
    if count is None or first is None:
        return
    free: set[int] = set()
    for ranges in _FREE.findall(told):
        for text in filter(None, ranges.split(", ")):
            low, _, high = text.partition("-")
            free.update(range(int(low), int(high or low) + 1))
    root = 2
    yield from (number for number in (root, *range(int(first[1]), int(count[1]) + 1)) if number not in free)
