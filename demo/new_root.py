"""Runs inside a fresh mount namespace: makes the machine's root directory, moves into it and becomes its shell.

The root is a small tmpfs. Directories of the real one are bound into it as they are, except for the few on the way to a
private path, whose other entries become links to /.machine, where the whole real root is.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_MS_BIND, _MS_REC = 4096, 16384
_REAL = ".machine"
PRIVATE = ("cvmfs", "etc/cvmfs", "srv/cvmfs", "var/spool/cvmfs", "var/lib/cvmfs")
PRIVATE_FILES = ("etc/passwd", "etc/group")
_ON_THE_WAY = ("etc", "srv", "var", "var/spool", "var/lib")

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Build the root below the machine's directory (the only argument) and start the shell in it."""
    machine = Path(sys.argv[1])
    root = machine / "root"
    root.mkdir()
    _mount("tmpfs", root, "tmpfs", 0, "mode=755,size=16m")
    _bind(Path("/"), root / _REAL)
    _mirror(Path("/"), root, "")
    for private in PRIVATE:
        own = machine / private
        own.mkdir(parents=True, exist_ok=True)
        _bind(own, root / private)
    os.chroot(root)
    os.chdir("/")
    os.execv("/bin/bash", ["bash", "--noprofile", "--norc"])  # noqa: S606 - it is the shell


def _mirror(real: Path, ours: Path, inside: str) -> None:
    """Let `ours` show what `real` holds; `inside` is its path in the machine."""
    ours.mkdir(exist_ok=True)
    for entry in real.iterdir() if real.is_dir() else ():
        path = f"{inside}/{entry.name}".lstrip("/")
        target = ours / entry.name
        if path in PRIVATE or target.is_symlink() or path == _REAL:
            continue
        if path in PRIVATE_FILES:
            _copy(Path(sys.argv[1]) / path, target)
        elif path in _ON_THE_WAY:
            _mirror(entry, target, path)
        elif entry.is_symlink():
            target.symlink_to(entry.readlink())
        elif inside or not entry.is_dir():
            target.symlink_to(f"/{_REAL}/{path}")
        else:
            _bind(entry, target)
    for path in _ON_THE_WAY:
        if path.rpartition("/")[0] == inside:
            (ours / path.rpartition("/")[2]).mkdir(exist_ok=True)


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def _bind(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    _mount(str(source), target, None, _MS_BIND | _MS_REC, None)


def _mount(source: str, target: Path, kind: str | None, flags: int, data: str | None) -> None:
    words = [word.encode() if word is not None else None for word in (source, str(target), kind)]
    if _libc.mount(*words, ctypes.c_ulong(flags), data.encode() if data else None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


if __name__ == "__main__":
    main()
