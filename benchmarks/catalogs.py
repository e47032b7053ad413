"""Catalogs against a native directory with the same tree: look up, list, walk; and writing against bare SQLite.

    python -m benchmarks.catalogs [DIRECTORIES [FILES_IN_EACH]]

Times are the best of three, ratios are to the baseline that the row names: above 1 is slower than it.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.schema import CATALOG_COLUMNS, CATALOG_TABLE, PARENT_INDEX
from swrepo.catalog.writer import CatalogWriter
from swrepo.format.dirent import Dirent
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import path_key
from swrepo.objects.store import Want
from swrepo.repository.revision import Revision
from swrepo.repository.walk import diff, walk

DIRECTORY = Dirent(b"", 0o40755, 4096, 1_500_000_000, None, 0, 0, 1, 2, b"", None, None)
FILE = Dirent(b"", 0o100644, 0, 1_500_000_000, None, 0, 0, 4, 1, b"", bytes(20), None)
ROUNDS = 3


class Tree:
    """The paths of both, and where they lie."""

    def __init__(self, place: Path, directories: int, files: int) -> None:
        self.place = place
        self.native = os.fsencode(place / "native")
        self.directories = [b"/d%04d" % number for number in range(directories)]
        self.files = [b"%b/file%05d.py" % (path, number) for path in self.directories for number in range(files)]

    @property
    def entries(self) -> int:
        return len(self.directories) + len(self.files)

    def make_native(self) -> None:
        for path in self.directories:
            os.makedirs(self.native + path)
        for path in self.files:
            os.close(os.open(self.native + path, os.O_CREAT | os.O_WRONLY))

    def write(self, name: str) -> Path:
        path = self.place / name
        path.unlink(missing_ok=True)
        writer = CatalogWriter.create(path, DIRECTORY)
        for where in self.directories:
            writer.add(where, DIRECTORY)
        for where in self.files:
            writer.add(where, FILE)
        writer.finish({"revision": "1"})
        return path

    def write_bare(self) -> None:
        """The same rows, made beforehand, with nothing but sqlite3: what writing costs at the least."""
        rows = [
            (
                *path_key(path),
                *path_key(path.rpartition(b"/")[0]),
                1,
                None,
                0,
                0,
                0,
                None,
                4,
                path.decode(),
                "",
                0,
                0,
                None,
            )
            for path in self.directories + self.files
        ]
        start = time.perf_counter()
        (self.place / "bare").unlink(missing_ok=True)
        connection = sqlite3.connect(self.place / "bare", isolation_level=None)
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", CATALOG_TABLE, "BEGIN"):
            connection.execute(statement)
        connection.executemany(f"INSERT INTO catalog VALUES ({', '.join('?' * len(CATALOG_COLUMNS))})", rows)  # noqa: S608
        for statement in (PARENT_INDEX, "COMMIT", "VACUUM"):
            connection.execute(statement)
        connection.close()
        self.bare_seconds = time.perf_counter() - start


class OneFile:
    """LocalObjects of a catalog or two."""

    def __init__(self, files: dict[ObjectId, Path]) -> None:
        self._files = files

    def open(self, want: Want) -> int:
        return os.open(self._files[want.id], os.O_RDONLY)

    def open_if_here(self, want: Want) -> int | None:
        return self.open(want)


def best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def row(what: str, count: int, seconds: float, baseline: str, baseline_seconds: float) -> None:
    rate = f"{count / seconds:>12,.0f}/s"
    print(f"{what:<44}{rate}  {baseline:<28}{count / baseline_seconds:>12,.0f}/s{seconds / baseline_seconds:>8.2f}")


def list_native(tree: Tree) -> None:
    for path in tree.directories:
        with os.scandir(tree.native + path) as found:
            for entry in found:
                entry.stat(follow_symlinks=False)


def walk_native(tree: Tree) -> None:
    for _, directories, files, descriptor in os.fwalk(tree.native):
        for name in directories + files:
            os.stat(name, dir_fd=descriptor, follow_symlinks=False)


def main(directories: int = 200, files: int = 100) -> None:
    with tempfile.TemporaryDirectory() as place:
        tree = Tree(Path(place), directories, files)
        tree.make_native()
        print(f"{tree.entries:,} entries in {directories} directories, one catalog\n")
        print(f"{'':<44}{'swrepo':>14}  {'baseline':<28}{'':>14}{'ratio':>8}")
        writing = best(lambda: tree.write("catalog"))
        tree.write_bare()
        row("write a catalog (rows)", tree.entries, writing, "bare sqlite3, rows ready", tree.bare_seconds)
        old, new = ObjectId.of(b"old"), ObjectId.of(b"new")
        catalog = CatalogFile.open(tree.write("catalog"))
        start = time.perf_counter()
        writer = CatalogWriter.edit(catalog, Path(place) / "edited")
        writer.replace(tree.files[-1], FILE._replace(size=5))
        writer.finish({})
        row("change one row of it (rows kept)", tree.entries, time.perf_counter() - start, "write a catalog", writing)
        reading(tree, catalog)
        objects = OneFile({old: Path(place) / "catalog", new: Path(place) / "edited"})
        with Revision(old, objects) as before, Revision(new, objects) as after:
            walking = best(lambda: walk_native(tree))
            row("walk", tree.entries, best(lambda: sum(1 for _ in walk(before))), "os.fwalk + stat", walking)
            row(
                "diff of two revisions",
                tree.entries,
                best(lambda: list(diff(before, after))),
                "os.fwalk + stat",
                walking,
            )


def reading(tree: Tree, catalog: CatalogFile) -> None:
    def look_up_native() -> None:
        for path in tree.files:
            os.lstat(tree.native + path)

    def look_up() -> None:
        for path in tree.files:
            catalog.lookup(path)

    def list_all() -> None:
        for path in tree.directories:
            catalog.listing(path)

    row("look up a path", len(tree.files), best(look_up), "os.lstat", best(look_up_native))
    listing = best(lambda: list_native(tree))
    row("list a directory with attributes (entries)", len(tree.files), best(list_all), "os.scandir + stat", listing)
    opening = best(lambda: CatalogFile.open(tree.place / "catalog").close())
    row("open a catalog", 1, opening, "open + close", best(lambda: os.close(os.open(tree.native, os.O_RDONLY))))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
