"""Files that are replaced whole or not at all, whatever the moment at which the machine stops."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

DEFAULT_MODE = 0o644
_TEMPORARY_MARK = ".tmp-"


def write_atomically(path: Path, data: bytes, mode: int = DEFAULT_MODE) -> None:
    """Replace `path` by a file of exactly `data` and `mode`; when this returns, the disk has it.

    Readers see the old file or the new one. A crash leaves the old one, and perhaps a `.tmp-` file beside it.
    """
    replace_atomically(path, lambda out: out.write(data), mode)


def replace_atomically(path: Path, fill: Callable[[BinaryIO], object], mode: int = DEFAULT_MODE) -> None:
    """The same for content that `fill` writes to a binary file."""
    temporary = path.with_name(f"{path.name}{_TEMPORARY_MARK}{os.getpid()}-{os.urandom(4).hex()}")
    try:
        # 0600 until the content is there: a private key must never be readable, not even for a moment.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as out:
            fill(out)
            out.flush()
            os.fchmod(out.fileno(), mode)
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def remove_leftovers(directory: Path) -> None:
    """Remove the `.tmp-` files of killed writers from a directory in which nobody else writes now."""
    for name in os.listdir(directory):
        if _TEMPORARY_MARK in name:
            with suppress(FileNotFoundError):
                (directory / name).unlink()


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path, mode: int = 0o755) -> None:
    """Create a directory and its parents where they are missing, durably; an existing one is left as it is."""
    missing = [path]
    while not missing[-1].exists():
        missing.append(missing[-1].parent)
    for directory in reversed(missing[:-1]):
        with suppress(FileExistsError):
            directory.mkdir(mode)
        sync_directory(directory.parent)
