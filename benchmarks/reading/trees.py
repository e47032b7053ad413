"""The trees that are read: each a plain directory and the repository that was published from it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reading.generated import publish_generated
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.layout import RepositoryPlaces, ServerLayout
from swrepo.publish.transaction import Publisher

FILE_SIZE = 3000
FILES_IN_A_DIRECTORY = 100
PYTHON_FILES = 50_000
MEGABYTE = 1 << 20
NESTED_MARKER = ".cvmfscatalog"
_WORTH_A_CATALOG = 300
"""Entries below a directory of packages that give it a catalog of its own."""


@dataclass(frozen=True, slots=True)
class Tree:
    """What rows are measured on. `native` is None where no plain directory has the same content; `title` says what."""

    name: str
    title: str
    native: Path | None
    places: RepositoryPlaces

    @property
    def fqrn(self) -> str:
        return self.places.fqrn

    @property
    def key(self) -> Path:
        return self.places.keys.public

    @property
    def storage(self) -> Path:
        return self.places.storage


class Nursery:
    """Makes trees below `place`, which keeps them for the next run where it is not a temporary directory."""

    def __init__(self, place: Path, scale: float) -> None:
        self.layout = ServerLayout(place)
        self._scale = scale

    def tree(self, name: str) -> Tree:
        """The tree of that name, made and published unless it is there already."""
        fqrn = f"{name}.bench.example.org"
        places = self.layout.repository(fqrn)
        done = places.spool / f"bench-done-{self._scale}"
        note = places.spool / "bench-title"
        if not done.exists():
            for old in (places.worktree, places.storage, places.spool, places.configuration):
                shutil.rmtree(old, ignore_errors=True)
            chunked = {} if name != "whole" else {"chunks": None}
            create_repository(self.layout, fqrn, CreateOptions(auto_tag=False, **chunked))
            note.write_text(_MAKERS[name](self, places))
            done.touch()
        return Tree(name, note.read_text(), None if name == "million" else places.worktree, places)

    def scaled(self, number: int) -> int:
        return max(1, int(number * self._scale))

    def publish(self, places: RepositoryPlaces) -> None:
        Publisher(self.layout).publish(places.fqrn)

    # Each fills and publishes, and returns the heading.

    def small(self, places: RepositoryPlaces) -> str:
        files = self.scaled(20_000)
        source = random.Random(1)
        for number in range(files):
            directory = places.worktree / f"d{number // FILES_IN_A_DIRECTORY:04d}"
            if number % FILES_IN_A_DIRECTORY == 0:
                directory.mkdir(parents=True)
            text = source.randbytes(FILE_SIZE // 2).hex().encode()[:FILE_SIZE]
            (directory / f"module{number % FILES_IN_A_DIRECTORY:03d}.py").write_bytes(text)
        self.publish(places)
        return f"{files:,} files of {FILE_SIZE} bytes in {-(-files // FILES_IN_A_DIRECTORY)} directories"

    def python(self, places: RepositoryPlaces) -> str:
        said = make_python(places.worktree, self.scaled(PYTHON_FILES))
        catalogs = add_markers(places.worktree)
        self.publish(places)
        files = [
            os.lstat(os.path.join(top, name)).st_size for top, _, names in os.walk(places.worktree) for name in names
        ]
        return f"Python: {len(files):,} files, {sum(files) / 1e6:.0f} MB, {catalogs + 1} catalogs; {said}"

    def million(self, places: RepositoryPlaces) -> str:
        entries = publish_generated(places, self.scaled(1_000_000))
        return f"{entries:,} entries, generated catalogs, no contents, no plain directory to compare with"

    def chunked(self, places: RepositoryPlaces) -> str:
        source = random.Random(2)
        for name, megabytes in (("m200", 200), ("g2", 2048)):
            with open(places.worktree / name, "wb") as file:
                file.writelines(source.randbytes(MEGABYTE // 2) * 2 for _ in range(self.scaled(megabytes)))
        self.publish(places)
        return f"files of {self.scaled(200)} MB and {self.scaled(2048)} MB, chunked"

    def whole(self, places: RepositoryPlaces) -> str:
        other = self.tree("chunked").places.worktree
        for name in ("m200", "g2"):
            os.link(other / name, places.worktree / name)
        self.publish(places)
        return f"files of {self.scaled(200)} MB and {self.scaled(2048)} MB, each one object"

    def flat(self, places: RepositoryPlaces) -> str:
        entries = self.scaled(50_000)
        (places.worktree / "flat").mkdir()
        for number in range(entries):
            (places.worktree / "flat" / f"event{number:06d}.dat").write_bytes(b"%d" % (number % 100))
        self.publish(places)
        return f"a directory of {entries:,} entries"


_MAKERS: dict[str, Callable[[Nursery, RepositoryPlaces], str]] = {
    "small": Nursery.small,
    "python": Nursery.python,
    "million": Nursery.million,
    "chunked": Nursery.chunked,
    "whole": Nursery.whole,
    "flat": Nursery.flat,
}
NAMES = tuple(_MAKERS)


def make_python(target: Path, files: int) -> str:
    """A Python that has numpy and pandas, with at least that many files; what it was made from."""
    base = Path(sys.base_prefix)
    library = target / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    small = files < PYTHON_FILES
    ignored = shutil.ignore_patterns(*(("site-packages", "test", "share") if small else ("share",)))
    for part in ("bin", "lib", "include"):
        if (base / part).is_dir():
            shutil.copytree(base / part, target / part, symlinks=True, ignore=ignored, dirs_exist_ok=True)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-warn-conflicts"]
    packages = library / "site-packages"
    packages.mkdir(exist_ok=True)
    wanted = [name for name in ("numpy", "pandas") if not (packages / name).is_dir()]
    if wanted:
        subprocess.run([*pip, "--target", str(packages), *wanted], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", str(packages / "numpy"), str(packages / "pandas")], check=False
    )
    said, copies = "the interpreter's installation with numpy and pandas", 0
    count = sum(len(names) for _, _, names in os.walk(target))
    one = sum(len(names) for _, _, names in os.walk(library))
    while count + one // 2 < files:
        copies += 1
        shutil.copytree(library, target / f"copy{copies}" / library.name, symlinks=True)
        count += one
    return said + (f", its library copied {copies} times more" if copies else "")


def add_markers(root: Path) -> int:
    """Give a catalog to every large package, as the administrators of such trees do; how many."""
    count = 0
    for library in sorted(path for path in root.glob("*/python3*") if (path / "site-packages").is_dir()):
        large = [library, *(path for path in (library / "site-packages").iterdir() if path.is_dir())]
        for directory in large:
            if sum(len(names) for _, _, names in os.walk(directory)) >= _WORTH_A_CATALOG:
                (directory / NESTED_MARKER).touch()
                count += 1
    return count
