"""What the publisher is compared with: programs that do a part of the same work, and the original."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from benchmarks.publishing.measuring import Cost, cost

_DIRECTORIES = 256

Baseline = tuple[str, Cost]
"""What it is, and what it took."""


def pack(tree: Path) -> Baseline:
    """Reads and compresses."""
    program = "pigz" if shutil.which("pigz") else "gzip"
    command = f"tar -cf - {shlex.quote(str(tree))} 2>/dev/null | {program} -6 >/dev/null"
    return f"tar | {program} -6", cost(["sh", "-c", command])


def unpack(archive: Path, target: Path) -> Baseline:
    """Reads an archive and writes its files."""
    target.mkdir()
    taken = cost(["tar", "-xf", str(archive), "-C", str(target)])
    shutil.rmtree(target)
    return "tar -x", taken


def look(tree: Path, times: int = 1) -> Baseline:
    """Looks at every file."""
    command = f"find {shlex.quote(str(tree))} -ls >/dev/null;" * times
    return f"find -ls{f', {times} times' if times > 1 else ''}", cost(["sh", "-c", command])


def read(storage: Path) -> Baseline:
    """Hashes every file of a storage."""
    command = f"find {shlex.quote(str(storage))} -type f -exec sha1sum {{}} + >/dev/null"
    return "sha1sum of all", cost(["sh", "-c", command])


def remove(directory: Path, files: int) -> Baseline:
    """Removes as many small files, in as many directories as a storage has."""
    for number in range(files):
        place = directory / f"{number % 256:02x}"
        if number < _DIRECTORIES:
            place.mkdir(parents=True)
        (place / f"{number}").write_bytes(b"%d" % number)
    return "rm -r of as many", cost(["rm", "-r", str(directory)])


def count(storage: Path) -> int:
    """Of its files."""
    return sum(len(files) for _, _, files in os.walk(storage))


def published(*trees: Path) -> Baseline | None:
    """The original publishes a tree, or what a second one holds over it."""
    return _original("SWREPO_ORIGINAL_PUBLISH", *trees)


def ingested(archive: Path) -> Baseline | None:
    """The original ingests an archive."""
    return _original("SWREPO_ORIGINAL_INGEST", archive)


def checked(prefix: Path, fqrn: str) -> Baseline | None:
    """The original checks a repository that ours made."""
    command = os.environ.get("SWREPO_ORIGINAL_CHECK")
    return None if not command else ("the original", cost([*shlex.split(command), str(prefix), fqrn]))


def _original(variable: str, *paths: Path) -> Baseline | None:
    """A command that prints as its last line the seconds and, if it knows it, the processor time."""
    command = os.environ.get(variable)
    if not command:
        return None
    words = [*shlex.split(command), *map(str, paths)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    seconds, *cpu = map(float, done.stdout.splitlines()[-1].split())
    return "the original", Cost(seconds, cpu[0] if cpu else 0.0, 0.0)
