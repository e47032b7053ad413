"""The programs that are started from a cold cache: what is published for each, and how it is run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reading.trees import add_markers, make_python
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.layout import RepositoryPlaces, ServerLayout
from swrepo.publish.transaction import Publisher

MARKER = ".cvmfscatalog"


@dataclass(frozen=True, slots=True)
class Program:
    """One program. `command`: the words that run it from a mountpoint; `environment`: in which it runs.

    `is_guesswork`: nothing tells which files it reads next, so that guessing is to do no harm, and no more;
    `has_profile`: it is published with one.
    """

    name: str
    title: str
    make: Callable[[Path, float], bool]
    command: Callable[[Path], list[str]]
    environment: Callable[[Path], dict[str, str]] = lambda _point: {}
    is_guesswork: bool = False
    has_profile: bool = True


@dataclass(frozen=True, slots=True)
class Published:
    """A program in its repository."""

    program: Program
    places: RepositoryPlaces

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def fqrn(self) -> str:
        return self.places.fqrn

    @property
    def key(self) -> Path:
        return self.places.keys.public

    @property
    def storage(self) -> Path:
        return self.places.storage


def publish(program: Program, place: Path, scale: float) -> Published | None:
    """Publish it and its profile below `place`, unless that has been done; None where its parts are not to be had."""
    layout = ServerLayout(place)
    places = layout.repository(f"{program.name}.coldstart.example.org")
    published = Published(program, places)
    done = places.spool / f"bench-done-{scale}"
    if not done.exists():
        for old in (places.worktree, places.storage, places.spool, places.configuration):
            shutil.rmtree(old, ignore_errors=True)
        create_repository(layout, places.fqrn, CreateOptions(auto_tag=False))
        if not program.make(places.worktree, scale):
            return None
        Publisher(layout).publish(places.fqrn)
        if program.has_profile:
            _add_profile(published, place)
        done.touch()
    return published


def _add_profile(published: Published, place: Path) -> None:
    """With the commands that a publisher types."""
    program, swrepo = published.program, str(Path(sys.executable).with_name("swrepo"))
    mounted = Path("/cvmfs") / published.fqrn
    environment = {**os.environ, "SWREPO_PREFIX": str(place), **program.environment(mounted)}
    with tempfile.TemporaryDirectory(prefix="swrepo-bench-") as folder:
        trace = f"{folder}/trace"
        options = ["--key", str(published.key), "--cache", f"{folder}/cache", "--output", trace]
        run = [swrepo, "trace", str(published.storage), *options, "--", *program.command(mounted)]
        add = [swrepo, "profile", "add", published.fqrn, program.name, "--from", trace]
        for command in (run, add):
            subprocess.run(command, check=True, env=environment, capture_output=True)


# Python


def _make_python(target: Path, scale: float) -> bool:
    make_python(target, int(50_000 * scale))
    for hook in target.glob("lib/python*/site-packages/*.pth"):  # of this machine, and of no other
        hook.unlink()
    subprocess.run([_python(target), "-m", "compileall", "-q", str(target / "lib")], check=False, capture_output=True)
    add_markers(target)
    return True


def _python(point: Path) -> str:
    return str(point / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


# A C++ compiler


def _make_compiler(target: Path, _scale: float) -> bool:
    compiler = shutil.which("g++")
    if compiler is None:
        return False
    pieces = [_said(compiler, f"-print-prog-name={name}") for name in ("cc1plus", "as", "ld", "collect2")]
    binaries = [os.path.realpath(path) for path in (compiler, *pieces)]
    inner = Path(_said(compiler, "-print-libgcc-file-name")).resolve().parent
    _copy(inner, target)
    for directory in ("/usr/include", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"):
        if directory == "/usr/include":
            _copy(Path(directory), target)
    for binary in binaries:
        _copy(Path(binary), target)
        for library in _libraries(binary):
            place = target / "lib" / library.name
            place.parent.mkdir(exist_ok=True)
            if not place.exists():
                shutil.copy2(library, place)
    (target / "compiler").symlink_to(Path(binaries[0]).relative_to("/"))
    for name, binary in zip(("as", "ld"), binaries[2:4], strict=True):
        link = target / "usr" / "bin" / name
        if not link.exists():
            link.symlink_to(Path(binary).name)
    (target / "main.cpp").write_text(_SOURCE)
    for large in (target / "usr/include", target / inner.relative_to("/")):
        (large / MARKER).touch()
    return True


_SOURCE = """#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <regex>
#include <sstream>
#include <thread>
#include <unordered_map>
#include <vector>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>
int main() { std::map<std::string, std::vector<int>> m; m["x"].push_back(1); std::cout << m.size() << '\\n'; }
"""


def _compile(point: Path) -> list[str]:
    return [str(point / "compiler"), f"--sysroot={point}", "-c", "-o", "/dev/null", str(point / "main.cpp")]


def _said(program: str, option: str) -> str:
    found = subprocess.run([program, option], check=True, capture_output=True, text=True).stdout.strip()
    return found if os.sep in found else shutil.which(found) or found


def _libraries(binary: str) -> list[Path]:
    """What a program is linked with, but for the C library: that goes with the machine."""
    lines = subprocess.run(["ldd", binary], check=False, capture_output=True, text=True).stdout.splitlines()
    found = [Path(line.split("=>")[1].split()[0]) for line in lines if "=> /" in line]
    return [path for path in found if not path.name.startswith(("libc.", "libm.", "ld-", "libdl.", "libpthread."))]


def _copy(path: Path, target: Path) -> None:
    place = target / path.relative_to("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, place, symlinks=True, dirs_exist_ok=True, ignore_dangling_symlinks=True)
    else:
        shutil.copy2(path, place)


# Node


_PACKAGES = ("eslint", "webpack", "typescript", "express")


def _make_node(target: Path, _scale: float) -> bool:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return False
    (target / "bin").mkdir()
    shutil.copy2(os.path.realpath(node), target / "bin" / "node")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(target), *_PACKAGES]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        return False
    (target / "main.js").write_text('require("eslint"); require("webpack"); require("express")();\n')
    (target / "node_modules" / MARKER).touch()
    return True


# Many files of which few are read


FILES, MEGABYTES, PART = 3500, 1000, 10
_IN_A_DIRECTORY = 50
_MEGABYTE = 1 << 20


def _make_tree(target: Path, scale: float) -> bool:
    source = random.Random(5)
    files = max(PART, int(FILES * scale))
    size = MEGABYTES * _MEGABYTE // FILES
    for number in range(files):
        directory = target / f"run{number // _IN_A_DIRECTORY:03d}"
        directory.mkdir(exist_ok=True)
        half = source.randbytes(source.randrange(size) + 1)
        (directory / f"part{number % _IN_A_DIRECTORY:03d}.dat").write_bytes(half + bytes(len(half)))
    chosen = sorted(source.sample(range(files), files // PART))
    source.shuffle(chosen)
    names = [f"run{number // _IN_A_DIRECTORY:03d}/part{number % _IN_A_DIRECTORY:03d}.dat" for number in chosen]
    (target / "list").write_text("\n".join(names) + "\n")
    return True


# A huge directory of which one file in a hundred is read


ENTRIES, SMALL = 20_000, 4000


def _make_directory(target: Path, scale: float) -> bool:
    source = random.Random(7)
    entries = max(200, int(ENTRIES * scale))
    (target / "events").mkdir()
    for number in range(entries):
        text = source.randbytes(source.randrange(SMALL // 2) + 1).hex()
        (target / "events" / f"{number:06d}.dat").write_text(text, "ascii")
    chosen = source.sample(range(entries), entries // 100)
    (target / "list").write_text("".join(f"events/{number:06d}.dat\n" for number in chosen))
    return True


def _read_listed(point: Path) -> list[str]:
    return ["sh", "-c", f"cd {point} && xargs cat < list > /dev/null"]


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "numpy",
            "Python imports numpy and pandas",
            _make_python,
            lambda point: [_python(point), "-c", "import numpy, pandas"],
            lambda _point: {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"},
        ),
        Program(
            "compile",
            "g++ compiles a file with its own headers",
            _make_compiler,
            _compile,
            lambda point: {"LD_LIBRARY_PATH": str(point / "lib")},
        ),
        Program(
            "node",
            "Node requires eslint, webpack and express",
            _make_node,
            lambda point: [str(point / "bin" / "node"), str(point / "main.js")],
        ),
        Program(
            "tree",
            f"{FILES // PART} files in no order, of {FILES:,} with {MEGABYTES:,} MB",
            _make_tree,
            _read_listed,
            is_guesswork=True,
        ),
        Program(
            "directory",
            f"{ENTRIES // 100} files in no order, of {ENTRIES:,} in one directory",
            _make_directory,
            _read_listed,
            is_guesswork=True,
            has_profile=False,
        ),
    )
}
