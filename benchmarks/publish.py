"""The publisher: the table of its targets, beside named baselines of the same run on the same files.

    python -m benchmarks.publish [--scale 0.1] [--row WORDS]... [--place DIR]

Every publication is the command that people type, in a process of its own: `seconds` include its start, `cpu` is its
processor time (on a busy machine it tells more than the clock), `MB` its largest resident memory. `tar | gzip -6` (pigz
where it is installed) reads and compresses as we do; `find -ls` looks at every file as we do. The original takes part
where SWREPO_ORIGINAL_PUBLISH holds a command that publishes the directory that it is given (given a second one: what
that holds over the first, whose own publication does not count), and prints as its last line the seconds that this
took, and its processor time behind it if that is known; SWREPO_ORIGINAL_INGEST likewise ingests the tar archive that it
is given, and SWREPO_ORIGINAL_CHECK checks the repository (second word) of a prefix (first word) as `cvmfs_server check`
does. `MB` is that of all processes of a command together. It prints, and never fails for a figure.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

import swrepo
from benchmarks.publishing import baselines
from benchmarks.publishing.baselines import Baseline
from benchmarks.publishing.measuring import Cost, Line, Repository
from benchmarks.publishing.trees import files_of, installation, million, numbered, small_files

GRAIN = 1.1
"""Seconds. What was written within the clock's grain is read once more; this is not what is measured."""

OF_ORIGINAL = "1 of the original"


class Rows:
    """The measurements. `place` is where trees and repositories are made."""

    def __init__(self, place: Path, scale: float) -> None:
        self._place = place
        self._scale = scale

    def installation(self) -> Iterator[Line]:
        """A Python installation: the first time, again, again after a change."""
        tree, repository = self._place / "installation", Repository(self._place / "server-installation")
        count = installation(tree, round(50_000 * self._scale))
        baselines.look(tree)
        time.sleep(GRAIN)
        what = f"first publication, {count:,} files"
        yield from self._beside(
            what, "0.35 of the original", repository.publish(tree), tree, lambda: baselines.pack(tree)
        )
        again = repository.publish(tree)
        yield Line(f"no change, {count:,} files", "1", again, *baselines.look(tree, times=2))

    def small(self) -> Iterator[Line]:
        """Many small files at once, then one of them."""
        tree, repository = self._place / "small", Repository(self._place / "server-small")
        tree.mkdir()
        count = small_files(tree / "new", round(5_000 * self._scale))
        time.sleep(GRAIN)
        what = f"{count:,} new files of 2 KB"
        yield from self._beside(
            what, "0.3 of the original", repository.publish(tree), tree, lambda: baselines.pack(tree)
        )
        (tree / "new" / "f00000").write_bytes(b"changed")
        what = f"one changed file of {count:,}"
        ours = repository.publish(tree)
        change = self._place / "small-change"
        (change / "new").mkdir(parents=True)
        (change / "new" / "f00000").write_bytes(b"changed again")
        theirs = baselines.published(tree, change)
        yield Line(what, "0.3 of the original", ours, *(theirs or baselines.look(tree)))

    def catalogs(self) -> Iterator[Line]:
        """Many small files in nested catalogs."""
        tree, repository = self._place / "catalogs", Repository(self._place / "server-catalogs")
        count = numbered(tree, directories=50, files=round(2_000 * self._scale))
        time.sleep(GRAIN)
        what = f"{count:,} files in 50 catalogs"
        yield from self._beside(
            what, "0.3 of the original", repository.publish(tree), tree, lambda: baselines.pack(tree)
        )

    def archives(self) -> Iterator[Line]:
        """Tar archives, of many small files and of a Python installation."""
        files, compressed = self._place / "small-files.tar", self._place / "installation.tar.gz"
        tree = self._place / "archives"
        count = small_files(tree / "small", round(20_000 * self._scale))
        yield from self._archive(files, tree / "small", f"tar of {count:,} files of 2 KB")
        count = installation(tree / "installation", round(10_000 * self._scale))
        for archive in (compressed.with_suffix(""), compressed):
            yield from self._archive(
                archive, tree / "installation", f"{archive.suffix[1:]} of {count:,} files of Python"
            )

    def _archive(self, archive: Path, tree: Path, what: str) -> Iterator[Line]:
        subprocess.run(["tar", "-caf", archive, "-C", tree, "."], check=True)
        repository = Repository(self._place / f"server-{archive.name}")
        ours = repository.server("ingest", "-t", str(archive), "-b", "software")
        yield Line(what, OF_ORIGINAL, ours, *baselines.unpack(archive, self._place / "unpacked"))
        if theirs := baselines.ingested(archive):
            yield Line(what, OF_ORIGINAL, ours, *theirs)

    def million(self) -> Iterator[Line]:
        """Very many files, each an object of its own: published, one of them changed, checked, collected."""
        tree, repository = self._place / "million", Repository(self._place / "server-million", "-z", "-g")
        count = million(tree, round(1_000_000 * self._scale))
        time.sleep(GRAIN)
        first = repository.publish(tree)
        yield Line(f"{count:,} entries, first time", "300 MB", first, *baselines.look(tree))
        yield self._one_named(repository, tree, count)
        yield from self._checks(repository, count)
        yield self._collection(repository, tree)

    def _one_named(self, large: Repository, tree: Path, count: int) -> Line:
        """One of very many, and one of two."""
        few = self._place / "few"
        (few / "d").mkdir(parents=True)
        (few / "d" / "file").write_bytes(b"1")
        alone = Repository(self._place / "server-few", "-z", "-g")
        alone.publish(few)
        path = files_of(tree)
        path.write_bytes(b"changed")
        (few / "d" / "file").write_bytes(b"changed")
        ours, told = large.counted(tree, "--changed", str(path.relative_to(tree)))
        theirs = alone.publish(few, "--changed", "d/file")
        what = f"one named file of {count:,} entries: {told['new_objects']} new objects"
        return Line(what, "1 s", ours, "the same, of 2 entries", theirs)

    def _checks(self, repository: Repository, count: int) -> Iterator[Line]:
        structure = repository.server("check", "-c")
        original = baselines.checked(repository.place, repository.fqrn)
        reading = baselines.read(repository.storage)
        yield Line(f"check -c of {count:,} entries", "60 s, 300 MB", structure, *reading)
        present = repository.server("check")
        yield Line(f"check of {count:,} entries", "300 MB", present, *(original or reading))
        yield Line("check -i of as many objects", "300 MB", repository.server("check", "-i"), *reading)

    def _collection(self, repository: Repository, tree: Path) -> Line:
        """A tenth of the directories goes. The last two revisions are kept, so one more has to come."""
        path = files_of(tree)
        directories = sorted(tree.glob("*/*"))
        gone = directories[-len(directories) // 10 :]
        for directory in gone:
            shutil.rmtree(directory)
        repository.publish(tree, "--changed", *(str(directory.relative_to(tree)) for directory in gone))
        path.write_bytes(b"changed again")
        repository.publish(tree, "--changed", str(path.relative_to(tree)))
        objects = baselines.count(repository.storage)
        collected = repository.server("gc", "-f", "-r", "0")
        left = baselines.count(repository.storage)
        what = f"gc of {objects - left:,} objects of {objects:,}"
        return Line(what, "300 MB", collected, *baselines.remove(self._place / "garbage", objects - left))

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
        yield from self._beside(what, "300 MB", repository.publish(tree), tree, lambda: baselines.pack(tree))

    def _beside(
        self, what: str, target: str, ours: Cost, tree: Path, baseline: Callable[[], Baseline]
    ) -> Iterator[Line]:
        yield Line(what, target, ours, *baseline())
        theirs = baselines.published(tree)
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


ROWS = ("installation", "small", "catalogs", "archives", "million", "large")

if __name__ == "__main__":
    main()
