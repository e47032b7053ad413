"""A real file system in a file, for real troubles: it fills up, it fails, and its power is lost at any moment.

ext4 on a loop device. It writes back by itself so late that after `lose_power` exactly that is there which a program had
synced, and what the file system's own journal then made of the rest. Needs root, in a mount namespace of its own.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from swrepo.system import mounts

_SIZE = 256 << 20
_NOTES = 64 << 10
"""Bytes that the file system may need to tell where a large file lies."""
_NEVER = 300
"""Seconds after which the journal would be written unasked."""


class Disk:
    """An empty file system, mounted at `point`."""

    def __init__(self, directory: Path, dice: random.Random) -> None:
        self.point = directory / "disk"
        self._memory = directory / "memory"
        self._image = self._memory / "image"
        self._dice = dice
        for place in (self.point, self._memory):
            place.mkdir()
        mounts.mount("tmpfs", str(self._memory), "tmpfs", 0)
        with self._image.open("wb") as image:
            image.truncate(_SIZE)
        # Small blocks, for the files are small; all inode tables now, or the kernel would do it behind our back.
        _run(
            "mkfs.ext4",
            "-q",
            "-b",
            "1024",
            "-i",
            "2048",
            "-m",
            "0",
            "-J",
            "size=8",
            "-E",
            "lazy_itable_init=0",
            self._image,
        )
        self._mount()

    def lose_power(self) -> None:
        """What has not been written to the device is lost; nobody may use the disk at that moment. It is there again."""
        left = self._memory / "left"
        _run("cp", "--sparse=always", self._image, left)
        _run("umount", self.point)
        left.rename(self._image)
        self._mount()

    def fail(self) -> None:
        """From now on the disk takes nothing any more; what it had is there to be read."""
        (_PARAMETERS / self._device() / "trigger_fs_error").write_text("1")

    def mend(self) -> None:
        """After `fail`: as an administrator would."""
        _run("umount", self.point)
        ended = subprocess.run(["e2fsck", "-fy", self._image], check=False, capture_output=True)
        assert ended.returncode in (0, 1), ended
        self._mount()

    def sync(self) -> None:
        """Write back what there is now, as the kernel may do at any moment."""
        _run("sync", "-f", self.point)

    @contextmanager
    def full(self, free: int) -> Iterator[None]:
        """No more than about `free` bytes can be written in the block."""
        filler = self.point / "filler"
        room = os.statvfs(self.point)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(room.f_bavail * room.f_frsize - free - _NOTES, 1))
        try:
            yield
        finally:
            filler.unlink()

    def close(self) -> None:
        """Nothing is left."""
        for place in (self.point, self._memory):
            with suppress(OSError):  # a test that failed may have left it without its mount
                mounts.detach(str(place))

    def _mount(self) -> None:
        # In "writeback" a name may be there before its bytes are.
        data = self._dice.choice(("ordered", "writeback"))
        options = f"loop,commit={_NEVER},errors=remount-ro,data={data}"
        _run("mount", "-t", "ext4", "-o", options, self._image, self.point)

    def _device(self) -> str:
        number = os.stat(self.point).st_dev
        return Path(os.readlink(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")).name


@contextmanager
def disk_in(directory: Path, dice: random.Random) -> Iterator[Disk]:
    """One below a directory, for the length of the block."""
    if not Path("/dev/loop-control").exists() or shutil.which("mkfs.ext4", path="/usr/sbin:/sbin") is None:
        pytest.skip("no file system can be made in a file here")
    found = Disk(directory, dice)
    try:
        yield found
    finally:
        found.close()


_PARAMETERS = Path("/sys/fs/ext4")


def _run(*words: str | Path) -> None:
    ended = subprocess.run(words, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, f"{words}: {ended.stderr}"
