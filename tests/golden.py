"""The golden repositories (../shared/golden, or SWREPO_GOLDEN), made by CernVM-FS 2.12, and what its client showed.

Unpacked once per machine into a directory below the system's temporary one, which all test runs share.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

NAMES = ("basic", "hardlinks", "nested", "chunked", "none", "shake128", "rmd160", "history", "ingest")

CLOCK = datetime(2026, 11, 25, 12, tzinfo=UTC)
"""A time at which every golden whitelist is valid."""

ENVIRONMENT = {"GOLDEN_SET": "golden-value", "GOLDEN_EXPORTED": "exp", "CVMFS_ARCH": "x86_64"}
"""What variant symlinks were expanded with. CVMFS_ARCH is always that of the machine, whatever client.conf says."""


class Row(NamedTuple):
    """A line of a manifest.tsv: all that a correct client shows of one path. Absent values are None."""

    path: bytes
    type: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: str
    nlink: int
    rdev: tuple[int, int] | None
    hlgroup: bytes | None
    sha256: str | None
    target: bytes | None
    xattrs: dict[bytes, bytes]


@dataclass(frozen=True)
class Golden:
    """One golden repository, unpacked. `path` is the folder of the archive."""

    name: str
    path: Path

    @property
    def fqrn(self) -> str:
        return f"golden-{self.name}.example.org"

    @property
    def served(self) -> Path:
        """The served directory, `.cvmfspublished` in it."""
        return self.path / "srv" / self.fqrn

    @property
    def public_key(self) -> Path:
        return self.path / "keys" / f"{self.fqrn}.pub"

    @property
    def rows(self) -> list[Row]:
        return read_manifest(self.path / "manifest.tsv")

    def served_before(self, event: str) -> Path:
        """golden-history before its `gc` or its `rollback`."""
        return self.path / f"srv-before-{event}" / self.fqrn

    def tag_rows(self, tag: str) -> list[Row]:
        return read_manifest(self.path / "tags" / f"{tag}.tsv")

    def magic_xattrs(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """(path, name, value) of the magic extended attributes."""
        for line in (self.path / "magic-xattrs.tsv").read_bytes().splitlines():
            if not line.startswith(b"#"):
                path, name, value = (unquote_to_bytes(field) for field in line.split(b"\t"))
                yield path, name, value


@cache
def golden(name: str) -> Golden:
    """The repository golden-NAME, unpacked if need be. Its files must not be changed: copy them first."""
    return Golden(name, _unpacked(archive_directory() / f"golden-{name}.tar.xz") / f"golden-{name}")


def archive_directory() -> Path:
    """Where the archives are."""
    given = os.environ.get("SWREPO_GOLDEN")
    return Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "golden"


def variants_of_this_machine(row: Row) -> bool:
    """Whether this row can be expected here: one symlink shows the architecture of the machine."""
    return platform.machine() == "x86_64" or b"x86_64" not in (row.target or b"")


def read_manifest(path: Path) -> list[Row]:
    """Parse a manifest.tsv."""
    return [_row(line) for line in path.read_text("ascii").splitlines() if not line.startswith("#")]


def _row(line: str) -> Row:
    path, kind, mode, uid, gid, size, mtime, nlink, rdev, hlgroup, sha256, target, xattrs = line.split("\t")
    return Row(
        path=unquote_to_bytes(path),
        type=kind,
        mode=int(mode, 8),
        uid=int(uid),
        gid=int(gid),
        size=int(size),
        mtime=mtime,
        nlink=int(nlink),
        rdev=None if rdev == "-" else (int(rdev.split(":")[0]), int(rdev.split(":")[1])),
        hlgroup=None if hlgroup == "-" else unquote_to_bytes(hlgroup),
        sha256=None if sha256 == "-" else sha256,
        # "-" where there is none: a symlink always has a target, if only an empty one.
        target=unquote_to_bytes(target) if kind == "l" else None,
        xattrs={} if xattrs == "-" else dict(map(_xattr, xattrs.split(";"))),
    )


def _xattr(field: str) -> tuple[bytes, bytes]:
    name, _, value = field.rpartition("=")
    return unquote_to_bytes(name), bytes.fromhex(value)


def _unpacked(archive: Path) -> Path:
    """The directory that holds the unpacked archive; complete once it has its name, whoever is killed meanwhile."""
    facts = archive.stat()
    base = Path(tempfile.gettempdir()) / f"swrepo-golden-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    place = base / f"{archive.name.split('.')[0]}-{facts.st_size}-{int(facts.st_mtime)}"
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs at once: one unpacks, the others wait
        if not place.exists():
            unfinished = place.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            with tarfile.open(archive) as tar:
                # Python 3.11.2 (Debian 12) may lack the filter; the archives are our own.
                options = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
                tar.extractall(unfinished, **options)
            unfinished.rename(place)
    return place
