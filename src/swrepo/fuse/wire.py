"""The kernel's side of a FUSE device as bytes: numbers, structures, and what INIT agrees on. Pure.

Source: the ABI of Linux's `fuse.h`, protocol 7.27 (kernel 4.18) to 7.45. All integers are in the machine's byte order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from struct import Struct

from swrepo.errors import FormatError

PROTOCOL_MAJOR = 7
PROTOCOL_MINOR = 40
"""The newest minor version whose structures are used here; the kernel takes the lower of both sides."""

OLDEST_MINOR = 27
ROOT_NODE = 1
MAX_PAGES = 256
PAGE_SIZE = 4096
MAX_WRITE = 4096
"""Nothing is ever written; the kernel wants no less."""

READ_BUFFER = 64 << 10
"""Bytes for one request; the kernel wants 8 KiB or more, and long lists of forgotten nodes come in fewer pieces."""


class Opcode(IntEnum):
    """Requests of the kernel."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    READLINK = 5
    SYMLINK = 6
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    SETXATTR = 21
    GETXATTR = 22
    LISTXATTR = 23
    REMOVEXATTR = 24
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    GETLK = 31
    SETLK = 32
    SETLKW = 33
    ACCESS = 34
    CREATE = 35
    INTERRUPT = 36
    BMAP = 37
    DESTROY = 38
    IOCTL = 39
    POLL = 40
    NOTIFY_REPLY = 41
    BATCH_FORGET = 42
    FALLOCATE = 43
    READDIRPLUS = 44
    RENAME2 = 45
    LSEEK = 46
    COPY_FILE_RANGE = 47
    SETUPMAPPING = 48
    REMOVEMAPPING = 49
    SYNCFS = 50
    TMPFILE = 51
    STATX = 52


WRITING = frozenset(
    {
        Opcode.SETATTR,
        Opcode.SYMLINK,
        Opcode.MKNOD,
        Opcode.MKDIR,
        Opcode.UNLINK,
        Opcode.RMDIR,
        Opcode.RENAME,
        Opcode.RENAME2,
        Opcode.LINK,
        Opcode.WRITE,
        Opcode.SETXATTR,
        Opcode.REMOVEXATTR,
        Opcode.CREATE,
        Opcode.TMPFILE,
        Opcode.FALLOCATE,
        Opcode.COPY_FILE_RANGE,
    }
)
"""Requests that would change the file system."""

SILENT = frozenset({Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT, Opcode.NOTIFY_REPLY})
"""Requests that get no reply."""


class Feature(IntFlag):
    """Bits of INIT that are used here."""

    ASYNC_READ = 1 << 0
    DO_READDIRPLUS = 1 << 13
    READDIRPLUS_AUTO = 1 << 14
    NO_OPEN_SUPPORT = 1 << 17
    PARALLEL_DIROPS = 1 << 18
    MAX_PAGES = 1 << 22
    CACHE_SYMLINKS = 1 << 23
    NO_OPENDIR_SUPPORT = 1 << 24
    EXPLICIT_INVAL_DATA = 1 << 25
    INIT_EXT = 1 << 30
    PASSTHROUGH = 1 << 37


class Notification(IntEnum):
    """What we may tell the kernel unasked."""

    INVAL_INODE = 2
    INVAL_ENTRY = 3


NO_FEATURE = Feature(0)

FOPEN_KEEP_CACHE = 1 << 1
FOPEN_CACHE_DIR = 1 << 3
FOPEN_NOFLUSH = 1 << 5
FOPEN_PASSTHROUGH = 1 << 7

IN_HEADER = Struct("=IIQQIIIHH")
"""length, opcode, unique, node, uid, gid, pid, extension length, padding"""

OUT_HEADER = Struct("=IiQ")
"""length, -errno, unique"""

_ATTRIBUTES = "QQQqqqIIIIIIIIII"
ENTRY = Struct("=QQQQII" + _ATTRIBUTES)
"""node, generation, entry and attribute validity (s, s, ns, ns), then attributes: ino, size, blocks, atime, mtime,
ctime, their nanoseconds, mode, nlink, uid, gid, rdev, blksize, flags"""

ATTR = Struct("=QII" + _ATTRIBUTES)
"""validity (s, ns), padding, attributes"""

DIRENT = Struct("=QQII")
"""ino, offset of the next entry, length of the name, type"""

DIRENT_PLUS = Struct("=QQQQII" + _ATTRIBUTES + "QQII")
"""ENTRY and DIRENT in one"""

READ_IN = Struct("=QQIIQII")
"""file handle, offset, size, read flags, lock owner, flags, padding"""

FORGET_IN = Struct("=Q")
BATCH_FORGET_IN = Struct("=II")
FORGET_ONE = Struct("=QQ")
XATTR_IN = Struct("=II")
XATTR_SIZE = Struct("=II")
OPEN_OUT = Struct("=QIi")
"""file handle, flags, number of the file that the kernel reads instead"""

STATFS_OUT = Struct("=QQQQQIIII24x")
INTERRUPT_IN = Struct("=Q")
INVAL_INODE_OUT = Struct("=Qqq")
INVAL_ENTRY_OUT = Struct("=QII")
_INIT_IN = Struct("=IIII")
_INIT_IN_FLAGS2 = Struct("=I")
_INIT_OUT = Struct("=IIIIHHIIHHII24x")
_INIT_OUT_OTHER_MAJOR = Struct("=II")

PADDING = (b"", b"\0" * 7, b"\0" * 6, b"\0" * 5, b"\0" * 4, b"\0" * 3, b"\0" * 2, b"\0")
"""What follows a name so that the next record begins at a multiple of eight, by length modulo eight."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What INIT agreed on: the reply, and what it means for us.

    `retry`: the kernel speaks a newer major version; it will send INIT again.
    """

    reply: bytes
    minor: int = 0
    features: Feature = NO_FEATURE
    retry: bool = False

    @property
    def may_refuse_open(self) -> bool:
        """Whether ENOSYS to OPEN makes the kernel open files by itself, with their pages kept."""
        return Feature.NO_OPEN_SUPPORT in self.features

    @property
    def may_refuse_opendir(self) -> bool:
        """Whether ENOSYS to OPENDIR makes the kernel open directories by itself, with their listings kept."""
        return Feature.NO_OPENDIR_SUPPORT in self.features

    @property
    def passes_through(self) -> bool:
        """Whether the kernel can be given a file of ours to read instead."""
        return Feature.PASSTHROUGH in self.features


WANTED = (
    Feature.ASYNC_READ
    | Feature.DO_READDIRPLUS
    | Feature.NO_OPEN_SUPPORT
    | Feature.PARALLEL_DIROPS
    | Feature.MAX_PAGES
    | Feature.CACHE_SYMLINKS
    | Feature.NO_OPENDIR_SUPPORT
    | Feature.EXPLICIT_INVAL_DATA
)
"""READDIRPLUS_AUTO is left out: it saves `ls` some work and costs `find` and `ls -l` a LOOKUP for every entry."""

PASSTHROUGH = WANTED | Feature.INIT_EXT | Feature.PASSTHROUGH
"""The same, for a mount that hands files to the kernel."""

_STACK_DEPTH = 1
"""File systems that may lie over one another: ours, over one that lies over no other."""


BACKGROUND = 1024
"""Reads ahead that may be under way at once. If so many wait for a silent server, all others wait with them."""


def negotiate(body: bytes, wanted: Feature = WANTED, background: int = BACKGROUND) -> Agreement:
    """Answer the body of an INIT request. `background`: reads ahead that the kernel may have under way at once.

    Raises FormatError for a kernel too old to serve.
    """
    if len(body) < _INIT_IN.size:
        message = (
            f"an INIT request of {len(body)} bytes: this kernel is too old to mount with (4.18 or newer is needed)"
        )
        raise FormatError(message)
    major, minor, readahead, flags = _INIT_IN.unpack_from(body)
    if major > PROTOCOL_MAJOR:
        return Agreement(_INIT_OUT_OTHER_MAJOR.pack(PROTOCOL_MAJOR, PROTOCOL_MINOR), retry=True)
    if major < PROTOCOL_MAJOR or minor < OLDEST_MINOR:
        message = f"the kernel speaks FUSE {major}.{minor}; 7.{OLDEST_MINOR} (kernel 4.18) or newer is needed"
        raise FormatError(message)
    minor = min(minor, PROTOCOL_MINOR)
    if flags & Feature.INIT_EXT and len(body) >= _INIT_IN.size + _INIT_IN_FLAGS2.size:
        flags |= _INIT_IN_FLAGS2.unpack_from(body, _INIT_IN.size)[0] << 32
    features = Feature(int(wanted) & flags)
    pages = MAX_PAGES if Feature.MAX_PAGES in features else 0
    reply = _INIT_OUT.pack(
        PROTOCOL_MAJOR,
        minor,
        readahead,
        int(features) & 0xFFFFFFFF,
        background,
        background * 3 // 4,
        MAX_WRITE,
        1,  # times are exact to the nanosecond
        pages,
        0,
        int(features) >> 32,
        _STACK_DEPTH if Feature.PASSTHROUGH in features else 0,
    )
    return Agreement(reply, minor, features)
