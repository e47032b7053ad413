"""Reading through a mount against reading a native directory: `find -ls`, `cat` of every file, one big file.

    python -m benchmarks.read_paths [FILES [BIG_MEGABYTES]]

One tree is published, mounted and read: first with an empty cache (everything travels, from a file:// URL), then by a
new mount over the full cache, each twice. "first" is after the mount, "again" when it is repeated. Ratios are to the
same command on the native directory in the same run; the kernel's page cache holds all files below throughout.

SWREPO_ORIGINAL_MOUNT: a command that mounts with another client and returns when it answers, for comparison; {url},
{fqrn}, {key} and {mountpoint} are filled in. It is unmounted with umount(8).
"""

from __future__ import annotations

import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from swrepo.client.access import AccessRequest
from swrepo.client.mount import MountRequest, mount, umount
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.layout import ServerLayout
from swrepo.publish.transaction import Publisher

FQRN = "bench.example.org"
FILE_SIZE = 3000
FILES_IN_A_DIRECTORY = 100
COMMANDS = {
    "find -ls": "find '{0}/tree' -ls",
    "cat all": "find '{0}/tree' -type f -print0 | xargs -0 cat",
    "big file": "cat '{0}/big'",
}


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    with tempfile.TemporaryDirectory(prefix="swrepo-bench-") as folder:
        place = Path(folder)
        server = Server(place / "server")
        make_tree(server.tree, files, megabytes)
        start = time.perf_counter()
        server.publish()
        print(f"{files} files of {FILE_SIZE} bytes and one of {megabytes} MB; published in {passed(start)}\n")
        table = Table()
        measure(server.tree)  # fills the page cache
        table.add("native directory", measure(server.tree), again=measure(server.tree))
        for label in ("swrepo, empty cache", "swrepo, full cache"):
            with mounted(server, place) as point:
                table.add(label, measure(point), again=measure(point))
        if command := os.environ.get("SWREPO_ORIGINAL_MOUNT"):
            for label in ("the original, 1st mount", "the original, 2nd mount"):
                with mounted_by(command, server, place) as point:
                    table.add(label, measure(point), again=measure(point))
        table.print()


class Server:
    """A repository in a directory of its own."""

    def __init__(self, prefix: Path) -> None:
        layout = ServerLayout(prefix)
        self.places = create_repository(layout, FQRN, CreateOptions())
        self.tree = self.places.worktree
        self.publish: Callable[[], object] = lambda: Publisher(layout).publish(FQRN)

    @property
    def url(self) -> str:
        return self.places.storage.as_uri()

    @property
    def key(self) -> Path:
        return self.places.keys.public


class Table:
    """Rows of times, printed with their ratio to the first row."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, list[float]]] = []

    def add(self, label: str, first: list[float], again: list[float]) -> None:
        self.rows.append((label, [value for pair in zip(first, again, strict=True) for value in pair]))

    def print(self) -> None:
        titles = [f"{name}, {when}" for name in COMMANDS for when in ("first", "again")]
        print(f"{'':26}" + "".join(f"{title:>20}" for title in titles))
        baseline = self.rows[0][1]
        for label, values in self.rows:
            cells = [f"{value:9.3f} s {value / base:6.2f}x" for value, base in zip(values, baseline, strict=True)]
            print(f"{label:26}" + "".join(f"{cell:>20}" for cell in cells))


def make_tree(tree: Path, files: int, megabytes: int) -> None:
    """Files that are all different and compress somewhat, in directories of a hundred."""
    source = random.Random(1)
    for number in range(files):
        directory = tree / "tree" / f"d{number // FILES_IN_A_DIRECTORY:04d}"
        if number % FILES_IN_A_DIRECTORY == 0:
            directory.mkdir(parents=True)
        (directory / f"module{number % FILES_IN_A_DIRECTORY:03d}.py").write_bytes(
            source.randbytes(FILE_SIZE // 2).hex().encode()[:FILE_SIZE]
        )
    with open(tree / "big", "wb") as big:
        big.writelines(source.randbytes(1 << 19) * 2 for _ in range(megabytes))


def measure(point: Path) -> list[float]:
    """Seconds of each command."""
    found = []
    for command in COMMANDS.values():
        start = time.perf_counter()
        subprocess.run(["sh", "-c", command.format(point) + " > /dev/null"], check=True)
        found.append(time.perf_counter() - start)
    return found


@contextmanager
def mounted(server: Server, place: Path) -> Iterator[Path]:
    """A mount of our own."""
    point = place / "mnt"
    point.mkdir(exist_ok=True)
    repository = AccessRequest((server.url,), (server.key,), place / "cache", FQRN)
    mount(MountRequest(str(point), repository, log=place / "log"))
    try:
        yield point
    finally:
        umount(str(point))


@contextmanager
def mounted_by(command: str, server: Server, place: Path) -> Iterator[Path]:
    """A mount of another client."""
    point = place / "other"
    point.mkdir(exist_ok=True)
    words = {"url": server.url, "fqrn": FQRN, "key": server.key, "mountpoint": point}
    subprocess.run(shlex.split(command.format(**words)), check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


def passed(start: float) -> str:
    return f"{time.perf_counter() - start:.1f} s"


if __name__ == "__main__":
    main()
