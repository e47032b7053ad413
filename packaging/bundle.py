"""Which installed packages the programs need at run time, and copies of them.

They come from the virtual environment that `.ci/setup` made from the lock file: wheels, whose bytes pip has checked. So
nothing is fetched or compiled when the Debian package is built.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import Distribution, PackagePath, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_UNWANTED = re.compile(r"(^|/)(__pycache__|SelfTest|tests?)/|\.pyi$|\.pyx$|\.pxd$|\.c$|\.h$|(^|/)\.\./")
"""Tests, sources of what is compiled, types for checkers; and scripts, which lie outside."""

_BUILT_FOR = re.compile(r"^Tag: \S+-\S+-(\S+)$", re.MULTILINE)
_GLIBC = re.compile(r"manylinux_2_(\d+)_")


def closure(requirements: list[str]) -> list[Distribution]:
    """The distributions that fulfil `requirements`, with all that they require themselves, by name."""
    found: dict[str, Distribution] = {}
    waiting = list(requirements)
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        extras = [{"extra": extra} for extra in ("", *requirement.extras)]
        if name in found or (requirement.marker and not any(requirement.marker.evaluate(e) for e in extras)):
            continue
        found[name] = distribution(name)
        waiting += found[name].requires or []
    return [found[name] for name in sorted(found)]


def copy(found: Distribution, target: Path) -> None:
    """Copy a distribution's files below `target`; each is compared with the checksum that the wheel came with."""
    for file in _files(found):
        source, destination = Path(str(file.locate())), target / str(file)
        data = source.read_bytes()
        if file.hash is not None:
            digest = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, data).digest()).rstrip(b"=").decode()
            if digest != file.hash.value:
                raise SystemExit(f"{source} was changed since it was installed; make .venv anew (.ci/setup)")
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(data)
        shutil.copymode(source, destination)


def glibc(found: Distribution) -> int:
    """The least minor version of glibc 2 that a wheel needs; 0 for one without compiled parts."""
    tags = _BUILT_FOR.findall(found.read_text("WHEEL") or "")
    if any(tag == "any" for tag in tags):
        return 0
    versions = [int(version) for tag in tags for version in _GLIBC.findall(f"{tag}_")]
    if "manylinux2014" in " ".join(tags):
        versions.append(17)
    if not versions:
        raise SystemExit(
            f"{found.name} was compiled here ({', '.join(tags)}): it would run here only; install its wheel"
        )
    return min(versions)


def _files(found: Distribution) -> Iterator[PackagePath]:
    for file in found.files or []:
        if not _UNWANTED.search(file.as_posix()) and file.name not in ("INSTALLER", "REQUESTED", "direct_url.json"):
            yield file
