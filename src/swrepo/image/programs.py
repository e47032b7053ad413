"""The programs that build images: found before any work is done, run with their last words in the error."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence

from swrepo.errors import NotFound, SwrepoError

_PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "sfdisk": "fdisk",
    "grub-mkimage": "grub-common",
    "mkfs.vfat": "dosfstools",
    "mmd": "mtools",
    "mcopy": "mtools",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "dpkg-deb": "dpkg",
    "newuidmap": "uidmap",
    "newgidmap": "uidmap",
}
"""Where Debian and Ubuntu have each program."""

GRUB_FILES = {
    "/usr/lib/grub/i386-pc/boot.img": "grub-pc-bin",
    "/usr/lib/grub/x86_64-efi/moddep.lst": "grub-efi-amd64-bin",
}
BUILDING = (
    *("mmdebstrap", "mke2fs", "dumpe2fs", "debugfs", "sfdisk", "grub-mkimage", "mkfs.vfat", "mmd", "mcopy"),
    *("qemu-img", "dpkg-deb"),
)

_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LAST_LINES = 12
_UMASK = 0o022  # whatever the person's own is, images are the same


def require(names: Iterable[str], files: Mapping[str, str] | None = None) -> None:
    """Raises NotFound, with the command that installs them, where programs or files are missing."""
    missing = {_PACKAGES.get(name, name) for name in names if find(name) is None}
    missing |= {package for file, package in (files or {}).items() if not os.path.exists(file)}
    if missing:
        words = " ".join(sorted(missing))
        raise NotFound(f"building images needs programs that are not here; apt-get install {words}")


def find(name: str) -> str | None:
    """Where a program is; also in the sbin directories, which ordinary users do not search."""
    return shutil.which(name, path=_path())


def _path() -> str:
    return os.pathsep.join(filter(None, [os.environ.get("PATH"), _SEARCHED]))


def run(
    words: Sequence[str | os.PathLike[str]], *, environment: Mapping[str, str] | None = None, text: str = ""
) -> str:
    """Run a program to its end and return what it printed; SwrepoError with the last of what it said where it fails."""
    program = str(words[0])
    done = subprocess.run(
        [find(program) or program, *map(str, words[1:])],
        input=text,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "PATH": _path(), **(environment or {})},  # it may be one that starts another
        umask=_UMASK,
        check=False,
    )
    if done.returncode:
        last = "\n  ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-_LAST_LINES:])
        raise SwrepoError(f"{program} ended with exit code {done.returncode}:\n  {last}")
    return done.stdout
