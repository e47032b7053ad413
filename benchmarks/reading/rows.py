"""The work that is measured on each tree, and what it may take: the table of the targets."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benchmarks.reading.trees import Tree

NAMES_THAT_DO_NOT_EXIST = 100_000
RANDOM_READS = 20_000


class Phase(StrEnum):
    """When a row is measured."""

    COLD = "cold"
    FIRST = "first"
    REPEATED = "repeated"


class Base(StrEnum):
    """What a target is measured against."""

    NATIVE = "x native"
    ORIGINAL = "x original"
    SECONDS = "s"
    MEGABYTES = "MB"


@dataclass(frozen=True, slots=True)
class Target:
    """At most `limit` times the base; `silent`: and no request reaches the process."""

    limit: float
    base: Base
    silent: bool = False


Work = Callable[[Path, Path], float]
"""Does it below the directory of the second argument, given the place of lists; its seconds."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `fills`: it reads everything, so that the cache is full afterwards.

    `prepare` makes, from the tree, what the work needs beside it. `is_long`: not worth repeating mounts for.
    """

    name: str
    work: Work
    targets: dict[Phase, Target | None]
    prepare: Callable[[Tree, Path], None] = lambda _tree, _lists: None
    fills: bool = False
    is_long: bool = False


def shell(command: str, environment: dict[str, str] | None = None) -> Work:
    """A shell command; {0} is the directory, {1} the place of lists."""

    def work(lists: Path, point: Path) -> float:
        start = time.perf_counter()
        more = {key: value.format(point) for key, value in (environment or {}).items()}
        arguments = ["sh", "-c", command.format(point, lists) + " > /dev/null"]
        subprocess.run(arguments, check=True, env={**os.environ, **more})
        return time.perf_counter() - start

    return work


def program(body: str) -> Work:
    """Python code that sets `seconds`; `point` and `lists` are directories. Its start is not measured."""
    code = f"import json, mmap, os, random, sys, time\nlists, point = sys.argv[1:]\n{body}\nprint(json.dumps(seconds))"

    def work(lists: Path, point: Path) -> float:
        ran = subprocess.run([sys.executable, "-c", code, str(lists), str(point)], check=True, capture_output=True)
        return float(json.loads(ran.stdout))

    return work


_MISSING = """
directories = open(lists + "/directories", "rb").read().split(b"\\0")
names = [b"%s/%s/no-such-file-%d" % (os.fsencode(point), directories[i % len(directories)], i) for i in range(COUNT)]
start = time.perf_counter()
for name in names:
    try:
        os.stat(name)
    except FileNotFoundError:
        pass
seconds = time.perf_counter() - start
"""
_RANDOM = """
chance = random.Random(5)
descriptor = os.open(point + "/g2", os.O_RDONLY)
size = os.fstat(descriptor).st_size
start = time.perf_counter()
for _ in range(COUNT):
    os.pread(descriptor, 4096, chance.randrange(size // 4096) * 4096)
seconds = time.perf_counter() - start
"""
_MMAP = """
descriptor = os.open(point + "/g2", os.O_RDONLY)
size = os.fstat(descriptor).st_size
start = time.perf_counter()
with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as mapped:
    for offset in range(0, size, 1 << 20):
        mapped[offset : offset + (1 << 20)]
seconds = time.perf_counter() - start
"""


def _list(tree: Tree, lists: Path) -> None:
    """NUL-separated paths of all files and directories, relative, in an order of no catalog or disk."""
    assert tree.native is not None
    top, files, directories = os.fsencode(tree.native), [], []
    for directory, _, names in os.walk(top):
        directories.append(os.path.relpath(directory, top))
        files += [path for name in names if os.path.isfile(path := os.path.join(directory, name))]
    random.Random(4).shuffle(files)
    (lists / "files").write_bytes(b"".join(os.path.relpath(path, top) + b"\0" for path in files))
    (lists / "directories").write_bytes(b"\0".join(directories))


_ORIGINAL = Target(1.0, Base.ORIGINAL)
_NATIVE_AGAIN = Target(1.3, Base.NATIVE, silent=True)
_READ_LIKE_NATIVE = {Phase.COLD: None, Phase.FIRST: Target(3.0, Base.NATIVE), Phase.REPEATED: Target(1.3, Base.NATIVE)}
_METADATA = {Phase.COLD: _ORIGINAL, Phase.FIRST: _ORIGINAL, Phase.REPEATED: _NATIVE_AGAIN}

_FIND = Row("find -ls", shell("find '{0}' -ls"), _METADATA)
_READ_ALL = Row(
    "open, read, close every file",
    shell("cd '{0}' && xargs -0 -a '{1}/files' cat"),
    _METADATA,
    prepare=_list,
    fills=True,
)
_NEGATIVE = Row(
    f"{NAMES_THAT_DO_NOT_EXIST:,} stats of no file",
    program(_MISSING.replace("COUNT", str(NAMES_THAT_DO_NOT_EXIST))),
    {Phase.FIRST: _ORIGINAL, Phase.REPEATED: _NATIVE_AGAIN},
    prepare=_list,
)
_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_IMPORT = Row(
    "import numpy, pandas",
    shell(
        f"'{{0}}/bin/python{_VERSION}' -B -s -c 'import numpy, pandas'",
        {"LD_LIBRARY_PATH": "{0}/lib", "PYTHONHOME": "{0}", "OPENBLAS_NUM_THREADS": "1"},
    ),
    {
        Phase.COLD: Target(0.7, Base.ORIGINAL),
        Phase.FIRST: Target(1.2, Base.NATIVE),
        Phase.REPEATED: Target(1.1, Base.NATIVE),
    },
)


def _reading(name: str) -> Row:
    return Row(f"read {name}", shell(f"cat '{{0}}/{name}'"), _READ_LIKE_NATIVE)


_BIG = (
    Row("read both files", shell("cat '{0}/m200' '{0}/g2'"), _READ_LIKE_NATIVE, fills=True),
    _reading("m200"),
    _reading("g2"),
    Row(
        f"{RANDOM_READS:,} random reads of 4 KB",
        program(_RANDOM.replace("COUNT", str(RANDOM_READS))),
        {Phase.FIRST: Target(3.0, Base.NATIVE), Phase.REPEATED: Target(1.3, Base.NATIVE)},
    ),
    Row(
        "mmap, every page",
        program(_MMAP),
        {Phase.FIRST: Target(3.0, Base.NATIVE), Phase.REPEATED: Target(1.3, Base.NATIVE)},
    ),
)
_LISTING = Row(
    "ls -l",
    shell("ls -l '{0}/flat'"),
    {Phase.COLD: _ORIGINAL, Phase.FIRST: Target(0.3, Base.ORIGINAL), Phase.REPEATED: Target(0.3, Base.ORIGINAL)},
)
_FIND_ONCE = Row("find -ls", shell("find '{0}' -ls"), {Phase.FIRST: _ORIGINAL, Phase.REPEATED: None}, is_long=True)
_FLAT_FIND = Row("find -ls", shell("find '{0}' -ls"), _METADATA)

ROWS: dict[str, tuple[Row, ...]] = {
    "small": (_READ_ALL, _FIND, _NEGATIVE),
    "python": (_READ_ALL, _FIND, _IMPORT),
    "chunked": _BIG,
    "whole": _BIG,
    "flat": (_LISTING, _FLAT_FIND),
    "million": (_FIND_ONCE,),
}
"""What is done on each tree, in this order."""

MOUNT_TARGET = Target(0.5, Base.SECONDS)
MEMORY: dict[str, Target] = {"python": Target(150, Base.MEGABYTES), "million": Target(300, Base.MEGABYTES)}
"""Resident memory after all rows of a tree in one mount."""

GROWTH = 1.05
"""Memory after they were done once more, to be called flat."""
