"""The publisher: the table of its targets, beside named baselines of the same run on the same files.

    python -m benchmarks.publish [--scale 0.1] [--row WORDS]... [--place DIR]

Every publication is the command that people type, in a process of its own: `seconds` include its start, `cpu` is its
processor time (on a busy machine it tells more than the clock), `MB` its largest resident memory. `tar | gzip -6` (pigz
where it is installed) reads and compresses as we do; `find -ls` looks at every file as we do. The original takes part
where SWREPO_ORIGINAL_PUBLISH holds a command that publishes the directory that it is given (given a second one: what
that holds over the first, whose own publication does not count), and prints as its last line the seconds that this
took, and its processor time behind it if that is known. It prints, and never fails for a figure.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

import swrepo
from benchmarks.publishing.trees import files_of, installation, million, numbered, small_files

GRAIN = 1.1
"""Seconds. What was written within the clock's grain is read once more; this is not what is measured."""


class Cost(NamedTuple):
    """What a command took."""

    seconds: float
    cpu: float
    megabytes: float


class Line(NamedTuple):
    """A row of the table."""

    what: str
    target: str
    ours: Cost
    baseline: str
    theirs: Cost


class Repository:
    """A repository in a place of its own, published to by the command."""

    def __init__(self, place: Path, fqrn: str = "bench.example.org") -> None:
        self._environment = {**os.environ, "SWREPO_PREFIX": str(place)}
        self._fqrn = fqrn
        self._run("server", "mkfs", fqrn)

    def publish(self, tree: Path, *options: str) -> Cost:
        return self._run("publish", str(tree), self._fqrn, *options)

    def _run(self, *words: str) -> Cost:
        return cost([sys.executable, "-m", "swrepo.cli.main", *words], self._environment)


def cost(command: list[str], environment: dict[str, str] | None = None) -> Cost:
    """Run a command that has to succeed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    seconds = time.perf_counter() - start
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def pack(tree: Path) -> tuple[str, Cost]:
    program = "pigz" if shutil.which("pigz") else "gzip"
    command = f"tar -cf - {shlex.quote(str(tree))} 2>/dev/null | {program} -6 >/dev/null"
    return f"tar | {program} -6", cost(["sh", "-c", command])


def look(tree: Path, times: int = 1) -> tuple[str, Cost]:
    command = f"find {shlex.quote(str(tree))} -ls >/dev/null;" * times
    return f"find -ls{f', {times} times' if times > 1 else ''}", cost(["sh", "-c", command])


def original(*trees: Path) -> tuple[str, Cost] | None:
    command = os.environ.get("SWREPO_ORIGINAL_PUBLISH")
    if not command:
        return None
    words = [*shlex.split(command), *map(str, trees)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    seconds, *cpu = map(float, done.stdout.splitlines()[-1].split())
    return "the original", Cost(seconds, cpu[0] if cpu else 0.0, 0.0)


class Rows:
    """The measurements. `place` is where trees and repositories are made."""

    def __init__(self, place: Path, scale: float) -> None:
        self._place = place
        self._scale = scale

    def installation(self) -> Iterator[Line]:
        """A Python installation: the first time, again, again after a change."""
        tree, repository = self._place / "installation", Repository(self._place / "server-installation")
        count = installation(tree, round(50_000 * self._scale))
        look(tree)
        time.sleep(GRAIN)
        what = f"first publication, {count:,} files"
        yield from self._beside(what, "0.35 of the original", repository.publish(tree), tree, lambda: pack(tree))
        again = repository.publish(tree)
        yield Line(f"no change, {count:,} files", "1", again, *look(tree, times=2))

    def small(self) -> Iterator[Line]:
        """Many small files at once, then one of them."""
        tree, repository = self._place / "small", Repository(self._place / "server-small")
        tree.mkdir()
        count = small_files(tree / "new", round(5_000 * self._scale))
        time.sleep(GRAIN)
        what = f"{count:,} new files of 2 KB"
        yield from self._beside(what, "0.3 of the original", repository.publish(tree), tree, lambda: pack(tree))
        (tree / "new" / "f00000").write_bytes(b"changed")
        what = f"one changed file of {count:,}"
        ours = repository.publish(tree)
        change = self._place / "small-change"
        (change / "new").mkdir(parents=True)
        (change / "new" / "f00000").write_bytes(b"changed again")
        theirs = original(tree, change)
        yield Line(what, "0.3 of the original", ours, *(theirs or look(tree)))

    def catalogs(self) -> Iterator[Line]:
        """Many small files in nested catalogs."""
        tree, repository = self._place / "catalogs", Repository(self._place / "server-catalogs")
        count = numbered(tree, directories=50, files=round(2_000 * self._scale))
        time.sleep(GRAIN)
        what = f"{count:,} files in 50 catalogs"
        yield from self._beside(what, "0.3 of the original", repository.publish(tree), tree, lambda: pack(tree))

    def million(self) -> Iterator[Line]:
        """One file of very many, named."""
        tree, repository = self._place / "million", Repository(self._place / "server-million")
        count = million(tree, round(1_000_000 * self._scale))
        time.sleep(GRAIN)
        first = repository.publish(tree)
        yield Line(f"{count:,} entries, first time", "300 MB", first, *look(tree))
        few = self._place / "few"
        (few / "d").mkdir(parents=True)
        (few / "d" / "file").write_bytes(b"1")
        alone = Repository(self._place / "server-few")
        alone.publish(few)
        path = files_of(tree)
        path.write_bytes(b"changed")
        (few / "d" / "file").write_bytes(b"changed")
        ours = repository.publish(tree, "--changed", str(path.relative_to(tree)))
        theirs = alone.publish(few, "--changed", "d/file")
        yield Line(f"one named file of {count:,} entries", "1 s", ours, "the same, of 2 entries", theirs)

    def large(self) -> Iterator[Line]:
        """A large file: the memory is that of chunks."""
        tree, repository = self._place / "large", Repository(self._place / "server-large")
        tree.mkdir()
        with (tree / "file").open("wb") as file:
            for _ in range(max(1, round(2_000 * self._scale))):
                file.write(os.urandom(500_000) + b"text " * 100_000)
        time.sleep(GRAIN)
        size = (tree / "file").stat().st_size
        what = f"one file of {size / 1e9:.1f} GB"
        yield from self._beside(what, "300 MB", repository.publish(tree), tree, lambda: pack(tree))

    def _beside(
        self, what: str, target: str, ours: Cost, tree: Path, baseline: Callable[[], tuple[str, Cost]]
    ) -> Iterator[Line]:
        yield Line(what, target, ours, *baseline())
        theirs = original(tree)
        if theirs is not None:
            yield Line(what, target, ours, *theirs)


def show(lines: list[Line], scale: float) -> None:
    title = f"publish: scale {scale:g}, {len(os.sched_getaffinity(0))} cores"
    table = Table(title=title, title_justify="left")
    for heading in ("publication", "target", "seconds", "cpu", "MB", "baseline", "its s", "its cpu", "ratio", "of cpu"):
        table.add_column(heading, justify="left" if heading in ("publication", "target", "baseline") else "right")
    for line in lines:
        ours, theirs = line.ours, line.theirs
        table.add_row(
            line.what,
            line.target,
            f"{ours.seconds:.2f}",
            f"{ours.cpu:.2f}",
            f"{ours.megabytes:.0f}",
            line.baseline,
            f"{theirs.seconds:.2f}",
            f"{theirs.cpu:.2f}" if theirs.cpu else "",
            f"{ours.seconds / theirs.seconds:.2f}",
            f"{ours.cpu / theirs.cpu:.2f}" if theirs.cpu else "",
        )
    Console(width=150).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="size of the trees, 1 is that of the targets")
    parser.add_argument("--row", action="append", choices=ROWS, help="only these (may be repeated)")
    parser.add_argument("--place", type=Path, help="where trees and repositories are made (default: below /tmp)")
    arguments = parser.parse_args()
    # As in packages: where no bytecode may be written, each command would compile itself anew.
    compileall.compile_dir(Path(swrepo.__file__).parent, quiet=1)
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="swrepo-bench-", dir=arguments.place) as directory:
        rows = Rows(Path(directory), arguments.scale)
        with suppress(KeyboardInterrupt):
            for name in arguments.row or ROWS:
                for line in getattr(rows, name)():
                    lines.append(line)
                    print(f"{line.what}: {line.ours.seconds:.2f} s", file=sys.stderr, flush=True)
        show(lines, arguments.scale)


ROWS = ("installation", "small", "catalogs", "million", "large")

if __name__ == "__main__":
    main()
