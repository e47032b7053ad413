"""What a revision shows, as the rows of a manifest.tsv: through the Python API here, through a mount in tests/mount."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping

from swrepo.format.dirent import Dirent
from swrepo.repository.revision import Revision
from swrepo.repository.status import status
from swrepo.repository.walk import walk
from tests.golden import Row

TYPES = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFIFO: "p",
    stat.S_IFSOCK: "s",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
}

MAGIC_XATTRS = frozenset({b"user.hash"})
"""Published attributes that a mount hides behind a magic one of its own: manifest.tsv leaves them out."""


def rows_of_revision(revision: Revision, environment: Mapping[str, str]) -> Iterator[Row]:
    """A row for every path, in the order of the walk; every file is read."""
    first_path: dict[tuple[bytes, int], bytes] = {}
    for path, entry in walk(revision):
        shown = path or b"/"
        facts = status(entry, environment)
        is_linked = facts.nlink > 1 and not entry.is_directory
        yield Row(
            path=shown,
            type=TYPES[stat.S_IFMT(facts.mode)],
            mode=stat.S_IMODE(facts.mode),
            uid=facts.uid,
            gid=facts.gid,
            size=facts.size,
            mtime=f"{facts.mtime}.{facts.mtime_ns:09d}",
            nlink=facts.nlink,
            rdev=(os.major(facts.rdev), os.minor(facts.rdev)) if entry.is_device else None,
            hlgroup=first_path.setdefault(revision.inode(path), shown) if is_linked else None,
            sha256=_sha256(revision, path, entry),
            target=revision.readlink(path, environment) if entry.is_symlink else None,
            xattrs={name: value for name, value in revision.xattrs(path).items() if name not in MAGIC_XATTRS},
        )


def differences(expected: Iterable[Row], found: Iterable[Row]) -> list[str]:
    """A line for each path and column that is not equal: readable where a whole-list comparison is not."""
    wanted = {row.path: row for row in expected}
    lines = []
    for row in found:
        other = wanted.pop(row.path, None)
        if other is None:
            lines.append(f"{row.path!r} should not be there")
            continue
        lines.extend(
            f"{row.path!r} {column}: {actual!r}, expected {value!r}"
            for column, actual, value in zip(Row._fields, row, other, strict=True)
            if actual != value
        )
    return lines + [f"{path!r} is missing" for path in wanted]


def _sha256(revision: Revision, path: bytes, entry: Dirent) -> str | None:
    if not entry.is_regular:
        return None
    digest = hashlib.sha256()
    with revision.content(path) as content:
        for block in content.blocks():
            digest.update(block)
    return digest.hexdigest()
