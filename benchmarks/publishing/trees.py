"""Trees that the publisher's benchmark publishes."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

_FILES_OF_A_DIRECTORY = 200
_LARGEST_LIBRARY = 3_000_000
"""Bytes. Larger files are left out: with them, the size of the tree would be that of the largest packages."""


def installation(tree: Path, files: int) -> int:
    """The interpreter's standard library and the packages of this environment, again and again, each copy different."""
    tree.mkdir()
    count = 0
    for copy in range(1000):
        for name in ("stdlib", "purelib"):
            target = tree / f"{copy}" / name
            _copy(Path(sysconfig.get_path(name)), target, f"# copy {copy}\n".encode(), files - count)
            count += sum(len(names) for _, _, names in os.walk(target))
            if count >= files:
                return count
    return count


def small_files(directory: Path, count: int) -> int:
    """Files of 2 KB, of which half can be compressed."""
    directory.mkdir(parents=True)
    for number in range(count):
        (directory / f"f{number:05}").write_bytes(os.urandom(1000) + b"text " * 200)
    return count


def numbered(tree: Path, directories: int, files: int) -> int:
    """Directories with a catalog each."""
    for number in range(directories):
        small_files(tree / f"d{number:02}", files)
        (tree / f"d{number:02}" / ".cvmfscatalog").touch()
    return directories * (files + 1)


def million(tree: Path, entries: int) -> int:
    """Very many entries, most of them small files, no two alike, in two levels of directories."""
    count = 0
    number = 0
    while count < entries:
        directory = tree / f"{number // 100:03}" / f"{number % 100:02}"
        directory.mkdir(parents=True)
        for file in range(_FILES_OF_A_DIRECTORY):
            (directory / f"f{file:03}").write_bytes(b"%d of %d" % (file, number))
        count += _FILES_OF_A_DIRECTORY + 1
        number += 1
    return count


def files_of(tree: Path) -> Path:
    """A file of such a tree."""
    return tree / "000" / "00" / "f007"


def _copy(source: Path, target: Path, line: bytes, most: int) -> None:
    """Copy a directory, with `line` at the end of each file, so that its content is another one."""
    left = most
    for directory, names, files in os.walk(source):
        names[:] = [name for name in names if name not in ("site-packages", "__pycache__")]
        where = target / Path(directory).relative_to(source)
        where.mkdir(parents=True, exist_ok=True)
        for name in files:
            if left <= 0:
                return
            if (Path(directory) / name).stat().st_size > _LARGEST_LIBRARY:
                continue
            shutil.copyfile(Path(directory) / name, where / name)
            with (where / name).open("ab") as file:
                file.write(line)
            left -= 1
