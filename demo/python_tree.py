"""A whole Python installation as a directory to publish: interpreter, standard library, numpy and its libraries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
_LEFT_OUT = shutil.ignore_patterns("site-packages", "dist-packages", "sitecustomize.py", "usercustomize.py")


def build(destination: Path) -> None:
    """Copy the Python that runs this, and numpy from its packages, below `destination`, which must not exist."""
    (destination / "bin").mkdir(parents=True)
    shutil.copy2(_interpreter(), destination / "bin" / VERSION)
    for name in ("python3", "python"):
        (destination / "bin" / name).symlink_to(VERSION)
    standard = sysconfig.get_path("stdlib")
    shutil.copytree(standard, destination / "lib" / VERSION, ignore=_LEFT_OUT, ignore_dangling_symlinks=True)
    for library in _shared_libraries():
        shutil.copy2(library, destination / "lib" / library.name)
    _add_package("numpy", _site_directory(destination))


def library_path(prefix: str) -> str:
    """What the command line needs before the interpreter where that is built with a shared library of its own."""
    return f"LD_LIBRARY_PATH={prefix}/lib " if _shared_libraries() else ""


def _interpreter() -> Path:
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def _shared_libraries() -> list[Path]:
    """The interpreter's own library, where it is not built into it."""
    name = str(sysconfig.get_config_var("INSTSONAME"))
    if not name.startswith("libpython") or name.encode() + b"\0" not in _interpreter().read_bytes():
        return []
    return [Path(str(sysconfig.get_config_var("LIBDIR"))) / name]


def _site_directory(destination: Path) -> Path:
    """Where the copied interpreter looks for packages."""
    words = [str(destination / "bin" / VERSION), "-I", "-c", "import site; print(site.getsitepackages()[0])"]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(destination / "lib")} if _shared_libraries() else None
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    return Path(done.stdout.strip())


def _add_package(name: str, site: Path) -> None:
    for file in metadata.files(name) or ():
        if ".." in file.parts:
            continue
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(Path(str(file.locate())), target)
