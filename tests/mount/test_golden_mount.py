"""Every golden repository, mounted for real, shows what the original showed: every path, every column."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from tests.golden import ENVIRONMENT, NAMES, Row, golden, variants_of_this_machine
from tests.listing import MAGIC_XATTRS, differences
from tests.mount.mounted import mounted, repository

pytestmark = pytest.mark.mount

TAGS = ("v1", "v2", "v3", "v5", "v6", "extra", "v1-fix1", "v1-fix2")


@pytest.mark.parametrize("name", NAMES)
def test_a_mount_shows_every_path_and_column_of_the_manifest(name: str, tmp_path: Path) -> None:
    repo = golden(name)
    with mounted(tmp_path, **repository(repo, variables=ENVIRONMENT)) as mount:
        compare(repo.rows, mount.point)


@pytest.mark.parametrize("tag", TAGS)
def test_a_mount_of_a_tag_shows_that_revision(tag: str, tmp_path: Path) -> None:
    repo = golden("history")
    with mounted(tmp_path, **repository(repo, tag=tag, variables=ENVIRONMENT)) as mount:
        compare(repo.tag_rows(tag), mount.point)


def compare(rows: list[Row], point: Path) -> None:
    elsewhere = {row.path for row in rows if not variants_of_this_machine(row)}
    found = [row for row in walk(os.fsencode(point)) if row.path not in elsewhere]
    assert differences([row for row in rows if row.path not in elsewhere], found) == []


def walk(point: bytes) -> list[Row]:
    """All of a mounted tree as rows of a manifest, in the original's order."""
    groups: dict[int, bytes] = {}
    rows = []

    def visit(path: bytes) -> None:
        row = describe(point, path, groups)
        rows.append(row)
        if row.type == "d":
            try:
                names = os.listdir(point + path)
            except PermissionError:
                return
            assert len(set(names)) == len(names)
            for name in sorted(names):
                visit(path.rstrip(b"/") + b"/" + name)

    visit(b"/")
    return rows


def describe(point: bytes, path: bytes, groups: dict[int, bytes]) -> Row:
    full = point + (b"" if path == b"/" else path)
    status = os.lstat(full)
    kind = stat.filemode(status.st_mode)[0].replace("-", "f")
    if kind in "fdl":
        assert status.st_blksize == 4096
    assert status.st_blocks == -(-status.st_size // 512)
    assert status.st_ino < 1 << 32
    group = groups.setdefault(status.st_ino, path) if kind != "d" and status.st_nlink > 1 else None
    seconds, nanoseconds = divmod(status.st_mtime_ns, 10**9)
    return Row(
        path=path,
        type=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size,
        mtime=f"{seconds}.{nanoseconds:09d}",
        nlink=status.st_nlink,
        rdev=(os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in "cb" else None,
        hlgroup=group,
        sha256=digest(full) if kind == "f" else None,
        target=os.readlink(full) if kind == "l" else None,
        xattrs=attributes(full),
    )


def digest(path: bytes) -> str:
    hasher = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def attributes(path: bytes) -> dict[bytes, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    found = {os.fsencode(name): os.getxattr(path, name, follow_symlinks=False) for name in names}
    return {name: value for name, value in found.items() if name not in MAGIC_XATTRS}
