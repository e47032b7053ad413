"""How long publishing a Python installation takes: the first time, again, with one changed file, with 5,000 new ones.

Each figure stands beside a named baseline of the same run on the same files. `tar | gzip -6` (pigz where it is
installed) reads and compresses as we do; `find -ls` looks at every file as we do. The original takes part where the
environment variable SWREPO_ORIGINAL_PUBLISH holds a command that publishes the directory that it is given.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.layout import ServerLayout
from swrepo.publish.transaction import Outcome, Publisher

FQRN = "bench.example.org"
SMALL_FILES = 5000


class Line(NamedTuple):
    """A row of the table: seconds of ours, and of a baseline."""

    what: str
    ours: float
    outcome: Outcome
    baseline: str
    theirs: float


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def installation(target: Path) -> None:
    """The interpreter's standard library and the packages of this environment."""
    paths = sysconfig.get_paths()
    skip = shutil.ignore_patterns("site-packages", "__pycache__")
    shutil.copytree(paths["stdlib"], target / "lib", symlinks=True, ignore=skip)
    shutil.copytree(paths["purelib"], target / "site-packages", symlinks=True)


def compress(directory: Path) -> float:
    program = "pigz" if shutil.which("pigz") else "gzip"
    return timed(lambda: shell(f"tar -cf - {shlex.quote(str(directory))} 2>/dev/null | {program} -6 | cat >/dev/null"))


def look(directory: Path) -> float:
    return timed(lambda: shell(f"find {shlex.quote(str(directory))} -ls >/dev/null"))


def shell(command: str) -> None:
    subprocess.run(command, shell=True, check=True)  # noqa: S602 - a pipe of two programs with quoted names


def add_small_files(directory: Path) -> None:
    directory.mkdir()
    for number in range(SMALL_FILES):
        (directory / f"f{number:04}").write_bytes(os.urandom(1000) + b"text " * 400)


def measure(tree: Path, publisher: Publisher) -> list[Line]:
    """The four publications, each with its baseline."""
    packer = "tar | pigz -6" if shutil.which("pigz") else "tar | gzip -6"
    outcomes: list[Outcome] = []

    def publish() -> float:
        return timed(lambda: outcomes.append(publisher.publish(FQRN, tree)))

    compress(tree)  # both find the files in the page cache
    lines = [Line("first time", publish(), outcomes[-1], packer, compress(tree))]
    time.sleep(1.1)  # what was written within the clock's grain is read once more; this is not what is measured
    publish()
    lines.append(Line("no change", publish(), outcomes[-1], "find -ls", look(tree)))
    (tree / "lib" / "os.py").write_bytes(b"# changed\n")
    lines.append(Line("one file changed", publish(), outcomes[-1], "find -ls", look(tree)))
    add_small_files(tree / "small")
    lines.append(Line(f"{SMALL_FILES:,} new files", publish(), outcomes[-1], packer, compress(tree / "small")))
    return lines


def show(lines: list[Line], tree: Path) -> None:
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    title = f"publish: {len(files):,} files, {size / 1e6:.0f} MB, {len(os.sched_getaffinity(0))} cores"
    table = Table(title=title, title_justify="left")
    for heading in ("publication", "seconds", "new objects", "new MB", "baseline", "its seconds", "ratio"):
        table.add_column(heading, justify="left" if heading in ("publication", "baseline") else "right")
    for line in lines:
        table.add_row(
            line.what,
            f"{line.ours:.2f}",
            f"{line.outcome.new_objects:,}",
            f"{line.outcome.new_bytes / 1e6:.1f}",
            line.baseline,
            f"{line.theirs:.2f}",
            f"{line.ours / line.theirs:.2f}",
        )
    Console(width=120).print(table)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="swrepo-bench-") as directory:
        tree = Path(directory) / "tree"
        tree.mkdir()
        installation(tree)
        layout = ServerLayout(Path(directory) / "server")
        create_repository(layout, FQRN, CreateOptions())
        original = os.environ.get("SWREPO_ORIGINAL_PUBLISH")
        theirs = timed(lambda: shell(f"{original} {shlex.quote(str(tree))}")) if original else None
        lines = measure(tree, Publisher(layout))
        show(lines, tree)
        if theirs is not None:
            ratio = lines[0].ours / theirs
            print(f"the original's whole command, first time: {theirs:.2f} s; ours takes {ratio:.2f} of it")


if __name__ == "__main__":
    main()
