"""Builds the Debian package: `python packaging/deb.py DIRECTORY [LEVEL]` (or `make deb`). Prints the package's path.

LEVEL is how hard it is compressed, 0 to 9.

Needs dpkg-deb, and a virtual environment of the same Python version as the distribution's own /usr/bin/python3. The
same sources give the same package, byte by byte, where SOURCE_DATE_EPOCH is the same.
"""

from __future__ import annotations

import compileall
import gzip
import hashlib
import os
import platform
import py_compile
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import bundle

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
HOME = "usr/lib/swrepo"
PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"
SYSTEM_PROGRAMS = frozenset({"mount.cvmfs"})
"""Programs that belong in sbin."""

_LAUNCHER = """\
#!/{home}/bin/python3 -I
import sys

from {module} import {function}

sys.exit({function}())
"""
_SYSTEM_LIBRARIES = ("libgcc-s1", "libstdc++6", "zlib1g")
"""What the wheels link to and do not bring with them (manylinux allows it); besides glibc."""


def main() -> None:
    """Build it."""
    _check_python()
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("SOURCE_DATE_EPOCH", _time_of_last_change())
    with tempfile.TemporaryDirectory() as scratch:
        stage = Path(scratch) / "stage"
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        wheel = _build_wheel(Path(scratch))
        needed = bundle.closure(project["dependencies"])
        site = stage / HOME / "lib" / PYTHON / "site-packages"
        for found in needed:
            bundle.copy(found, site)
        _unpack(wheel, site, stage)
        compileall.compile_dir(
            site,
            quiet=2,
            stripdir=str(stage),
            prependdir="/",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        _make_environment(stage)
        _make_programs(stage, project["scripts"])
        _put_in_place(stage, needed)
        version = _version(wheel)
        _write_control(stage, version, max(map(bundle.glibc, needed)))
        print(
            _pack(
                stage,
                target / f"swrepo_{version}_{_architecture()}.deb",
                level=sys.argv[2] if len(sys.argv) > 2 else "6",
            )
        )


def _check_python() -> None:
    words = ["/usr/bin/python3", "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"]
    theirs = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    if theirs != PYTHON:
        raise SystemExit(
            f"this is {PYTHON}, and the distribution has {theirs or 'no Python'}: make .venv with that one "
            "(rm -rf .venv; PYTHON=/usr/bin/python3 .ci/setup)"
        )


def _time_of_last_change() -> str:
    words = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    shown = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    return shown or str(int((ROOT / "pyproject.toml").stat().st_mtime))


def _build_wheel(scratch: Path) -> Path:
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(scratch)]
    subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return next(scratch.glob("*.whl"))


def _unpack(wheel: Path, site: Path, stage: Path) -> None:
    """The wheel's packages, and what it installs below `share`."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            _, is_shared, rest = name.partition(".data/data/")
            target = stage / "usr" / rest if is_shared else site / name
            if target.match("share/man/*/*"):
                target = target.with_name(f"{target.name}.gz")
            target.parent.mkdir(parents=True, exist_ok=True)
            data = archive.read(name)
            target.write_bytes(_compressed(data) if target.suffix == ".gz" else data)


def _make_environment(stage: Path) -> None:
    """A virtual environment: nothing of it depends on where it was made."""
    (stage / HOME / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    (stage / HOME / "bin").mkdir()
    (stage / HOME / "bin/python3").symlink_to(f"/usr/bin/{PYTHON}")


def _make_programs(stage: Path, scripts: dict[str, str]) -> None:
    for name, entry in scripts.items():
        module, _, function = entry.partition(":")
        launcher = stage / HOME / "bin" / name
        launcher.write_text(_LAUNCHER.format(home=HOME, module=module, function=function))
        launcher.chmod(0o755)
        directory = stage / "usr" / ("sbin" if name in SYSTEM_PROGRAMS else "bin")
        directory.mkdir(exist_ok=True)
        (directory / name).symlink_to(f"../lib/swrepo/bin/{name}")


def _put_in_place(stage: Path, needed: list[Distribution]) -> None:
    """Everything that is in no wheel."""
    documents = stage / "usr/share/doc/swrepo"
    shutil.copytree(HERE / "systemd", stage / "usr/lib/systemd/system")
    shutil.copytree(HERE / "examples", documents / "examples")
    for name in ("keys", "config.d", "default.d", "domain.d"):
        (stage / "etc/cvmfs" / name).mkdir(parents=True)
    shutil.copy(HERE / "debian/default.conf", stage / "etc/cvmfs/default.conf")
    (documents / "copyright").write_text(_copyright(needed), "utf-8")
    (documents / "changelog.gz").write_bytes(_compressed((ROOT / "CHANGELOG.md").read_bytes()))
    for name in ("README.md",):
        shutil.copy(ROOT / name, documents / name)


def _copyright(needed: list[Distribution]) -> str:
    """Our licence, and where those of the packages are that are shipped with us."""
    lines = [
        (ROOT / "LICENSE").read_text("utf-8"),
        f"These packages are in /{HOME}, each with its licence beside it:\n",
    ]
    for found in needed:
        licence = found.metadata.get("License-Expression") or found.metadata.get("License") or "see there"
        lines.append(f"  {found.name} {found.version}: {licence.splitlines()[0]}")
    return "\n".join(lines) + "\n"


def _version(wheel: Path) -> str:
    """With the distribution's name: a package is for its Python."""
    system = platform.freedesktop_os_release()
    return f"{wheel.name.split('-')[1]}-1~{system['ID']}{system.get('VERSION_ID', '')}"


def _architecture() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def _write_control(stage: Path, version: str, glibc: int) -> None:
    control = stage / "DEBIAN"
    control.mkdir()
    major, minor = sys.version_info[:2]
    depends = [
        f"python3 (>= {major}.{minor}~)",
        f"python3 (<< {major}.{minor + 1}~)",
        f"libc6 (>= 2.{glibc})",
        *_SYSTEM_LIBRARIES,
        "adduser",
    ]
    files = sorted(path for path in stage.rglob("*") if path.is_file() and not path.is_symlink())
    size = sum(-(-path.stat().st_size // 1024) for path in files)
    text = (HERE / "debian/control.in").read_text("utf-8")
    (control / "control").write_text(
        text.format(version=version, architecture=_architecture(), size=size, depends=", ".join(depends))
    )
    (control / "conffiles").write_text("/etc/cvmfs/default.conf\n")
    sums = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(stage)}\n"
        for path in files
    ]
    (control / "md5sums").write_text("".join(sums))
    for name in ("postinst", "prerm", "postrm"):
        shutil.copy(HERE / "debian" / name, control / name)
        (control / name).chmod(0o755)


def _pack(stage: Path, package: Path, *, level: str) -> Path:
    for path in [stage, *stage.rglob("*")]:
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
    words = ["dpkg-deb", "--build", "--root-owner-group", "-Zxz", f"-z{level}", str(stage), str(package)]
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    return package


def _compressed(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


if __name__ == "__main__":
    main()
