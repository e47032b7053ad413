"""Every golden repository, mounted for real, shows what the original showed: every path, every column."""

from __future__ import annotations

import hashlib
import os
import stat
from functools import cache
from pathlib import Path

import pytest

from swrepo.client.attributes import ENTRY, REPOSITORY
from swrepo.mount.attributes import PROCESS
from tests.golden import ENVIRONMENT, NAMES, Row, golden, variants_of_this_machine
from tests.listing import differences
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
    closed: set[bytes] = set()
    found = [row for row in walk(os.fsencode(point), closed) if row.path not in elsewhere]
    if is_privileged():
        assert closed == set()
    expected = [as_seen_here(row, closed) for row in rows if row.path not in elsewhere and not below(row.path, closed)]
    assert differences(expected, found) == []


def below(path: bytes, directories: set[bytes]) -> bool:
    """Whether a path lies in one of the directories that this user may not look into."""
    return any(path.startswith(directory + b"/") for directory in directories)


def as_seen_here(row: Row, closed: set[bytes]) -> Row:
    """What an ordinary user, or root of a user namespace, sees of a row: all of it, as the real root."""
    return row._replace(
        uid=mapped(row.uid, "uid"),
        gid=mapped(row.gid, "gid"),
        sha256=None if row.path in closed else row.sha256,
        xattrs={
            name: value for name, value in row.xattrs.items() if is_privileged() or not name.startswith(b"trusted.")
        },
    )


@cache
def mapped(number: int, kind: str) -> int:
    """A user or group as this namespace knows it: one that it does not have is shown as "nobody"."""
    for line in Path(f"/proc/self/{kind}_map").read_text().splitlines():
        inside, _, count = map(int, line.split())
        if count == 4294967295:
            return number
        if inside <= number < inside + count:
            return number
    return int(Path(f"/proc/sys/kernel/overflow{kind}").read_text())


@cache
def is_privileged() -> bool:
    """Whether we are root of the machine."""
    return os.geteuid() == 0 and "4294967295" in Path("/proc/self/uid_map").read_text()


def walk(point: bytes, closed: set[bytes]) -> list[Row]:
    """All of a mounted tree as rows of a manifest, in the original's order.

    Notes in `closed` what this user may not read: files, and directories, whose contents are left out.
    """
    groups: dict[int, bytes] = {}
    rows = []

    def visit(path: bytes) -> None:
        row = describe(point, path, groups, closed)
        rows.append(row)
        if row.type == "d":
            try:
                names = os.listdir(point + path)
                os.lstat(point + path + b"/.")
            except PermissionError:
                closed.add(path)
                return
            assert len(set(names)) == len(names)
            for name in sorted(names):
                visit(path.rstrip(b"/") + b"/" + name)

    visit(b"/")
    return rows


def describe(point: bytes, path: bytes, groups: dict[int, bytes], closed: set[bytes]) -> Row:
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
        sha256=digest(full, path, closed) if kind == "f" else None,
        target=os.readlink(full) if kind == "l" else None,
        xattrs=attributes(full),
    )


def digest(full: bytes, path: bytes, closed: set[bytes]) -> str | None:
    hasher = hashlib.sha256()
    try:
        with open(full, "rb", buffering=0) as file:
            while block := file.read(1 << 20):
                hasher.update(block)
    except PermissionError:
        closed.add(path)
        return None
    return hasher.hexdigest()


def attributes(path: bytes) -> dict[bytes, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    found = {os.fsencode(name): os.getxattr(path, name, follow_symlinks=False) for name in names}
    magic = {os.fsencode(name) for table in (ENTRY, REPOSITORY, PROCESS) for name in table}
    return {name: value for name, value in found.items() if name not in magic}
