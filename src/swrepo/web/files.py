"""Files below the served directories, opened name by name so that no symbolic link is followed out of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from swrepo.errors import UsageError
from swrepo.format.wellknown import MANIFEST, is_fqrn

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class OpenFile(NamedTuple):
    """A descriptor, which the holder closes, and the file's size."""

    descriptor: int
    size: int


class ServedDirectories:
    """Directories that hold repositories, one in each subdirectory; the first one that has a file serves it."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots: list[int] = []
        for root in roots:
            try:
                self._roots.append(os.open(root, _DIRECTORY))
            except OSError as error:
                self.close()
                message = f"cannot serve {root}: {error.strerror}; give the directory that holds the repositories"
                raise UsageError(message) from error

    def open(self, parts: tuple[str, ...]) -> OpenFile | None:
        """The regular file at `parts`; None where there is none."""
        for root in self._roots:
            descriptor = _descend(root, parts)
            if descriptor is None:
                continue
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                return OpenFile(descriptor, status.st_size)
            os.close(descriptor)
        return None

    def repositories(self) -> list[str]:
        """Names of the repositories that are there, sorted."""
        names = {name for root in self._roots for name in os.listdir(root) if is_fqrn(name)}
        return sorted(name for name in names if self._has_manifest(name))

    def close(self) -> None:
        while self._roots:
            os.close(self._roots.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _has_manifest(self, name: str) -> bool:
        file = self.open((name, MANIFEST))
        if file is not None:
            os.close(file.descriptor)
        return file is not None


def _descend(root: int, parts: tuple[str, ...]) -> int | None:
    here = root
    try:
        for part in parts[:-1]:
            below = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            if here != root:
                os.close(here)
            here = below
        return os.open(parts[-1], _FILE, dir_fd=here)
    except OSError:
        return None
    finally:
        if here != root:
            os.close(here)
