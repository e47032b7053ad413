"""What the interface tells of paths and revisions: frozen values."""

from __future__ import annotations

import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from swrepo.format.dirent import Dirent
from swrepo.format.paths import path_key
from swrepo.repository import history
from swrepo.repository.revision import Revision
from swrepo.repository.status import status

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
_BLOCK = 512
_ROW_BITS = 32


@dataclass(frozen=True, slots=True)
class Stat:
    """What `os.stat` tells of a path, under the same names. All three times are the published modification time.

    Names of one file have one `st_ino`. `st_rdev` is a Linux device number, on every system.
    """

    st_mode: int
    st_ino: int
    st_dev: int
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    st_mtime_ns: int
    st_rdev: int = 0

    @property
    def kind(self) -> str:
        """`file`, `directory`, `link` or `other`."""
        return _KINDS.get(stat.S_IFMT(self.st_mode), "other")

    @property
    def st_mtime(self) -> float:
        seconds, nanoseconds = divmod(self.st_mtime_ns, 1_000_000_000)
        return seconds + 1e-9 * nanoseconds  # rounded as os.stat does it

    st_atime = st_ctime = st_mtime

    @property
    def st_atime_ns(self) -> int:
        return self.st_mtime_ns

    st_ctime_ns = st_atime_ns

    @property
    def st_blocks(self) -> int:
        """Blocks of 512 bytes."""
        return -(-self.st_size // _BLOCK)


@dataclass(frozen=True, slots=True)
class Tag:
    """A named revision; `hash` is its root catalog, which `swrepo.open(..., hash=...)` takes."""

    name: str
    revision: int
    hash: str
    published: datetime
    description: str = ""
    branch: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Files that are in the cache now, and their bytes."""

    files: int
    bytes: int


def stat_of(revision: Revision, path: bytes, entry: Dirent, variables: Mapping[str, str], name: str) -> Stat:
    """The status of an entry of the repository `name`."""
    shown = status(entry, variables)
    mountpoint, row = (
        revision.inode(path) if entry.hardlink_group else (revision.tree.holder(path).mountpoint, entry.rowid)
    )
    # A catalog has fewer than 2^32 rows, so only two catalogs whose 31 bits are the same could share a number.
    inode = (path_key(mountpoint)[0] & 0x7FFFFFFF) << _ROW_BITS | row
    return Stat(
        st_mode=shown.mode,
        st_ino=inode,
        st_dev=zlib.crc32(name.encode()),
        st_nlink=shown.nlink,
        st_uid=shown.uid,
        st_gid=shown.gid,
        st_size=shown.size,
        st_mtime_ns=shown.mtime * 1_000_000_000 + shown.mtime_ns,
        st_rdev=shown.rdev,
    )


def tag_of(found: history.Tag) -> Tag:
    """A tag of the history, for everybody."""
    published = datetime.fromtimestamp(found.timestamp, UTC)
    return Tag(found.name, found.revision, found.root.text, published, found.description, found.branch)
