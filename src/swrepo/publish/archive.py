"""The members of an archive as entries of a LayeredTree, their contents on the way to the store.

Nothing is unpacked. A name that leads elsewhere, or that no file system has, is a fault of the archive.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from swrepo.errors import FormatError
from swrepo.format import xattr
from swrepo.format.dirent import Chunk, Dirent, Flag
from swrepo.format.paths import ROOT, basename
from swrepo.publish.entries import DIRECTORY_SIZE, EntryRules
from swrepo.publish.faults import Faults
from swrepo.publish.last_revision import LastRevision
from swrepo.publish.layered_tree import LayeredTree, Role
from swrepo.publish.member_content import Pending, Porter
from swrepo.publish.progress import Progress
from swrepo.publish.tar_stream import Member

_AHEAD = 2000
"""Members that wait for the content of one before them."""

_MOST_FAULTS = 100
_LONGEST_COMPONENT = 255
_LONGEST_LINK = 4095
_MOST_LINKS = 40
_NO_CHUNKS: tuple[Chunk, ...] = ()
_IDS = range(1 << 32)
_TIMES = range(-(1 << 62), 1 << 62)


class Owner(NamedTuple):
    """Whom everything belongs to, whatever the archive says."""

    uid: int
    gid: int


class _Waiting(NamedTuple):
    """What comes next into the tree, in the archive's order: an entry, once its content is stored, or a name of
    `target`.
    """

    path: bytes
    entry: Dirent | None = None
    pending: Pending | None = None
    target: bytes = b""


@dataclass(slots=True)
class Gatherer:
    """Takes archives one after another. For one thread; `finish` after the last."""

    tree: LayeredTree
    last: LastRevision
    porter: Porter
    rules: EntryRules
    faults: Faults
    progress: Progress
    owner: Owner | None = None
    """None keeps the archive's owners."""
    tolerant: bool = False
    """Names that begin with a slash are as good as others: all are below a directory of their own."""
    _queue: deque[_Waiting] = field(default_factory=deque)

    def take(self, base: bytes, members: Iterable[Member]) -> None:
        """Lay an archive over what was gathered, below the directory `base`."""
        self.tree.imply(base)
        for member in members:
            self.add(base, member)
        self.settle()

    def add(self, base: bytes, member: Member) -> None:
        """One member, whose content is read when this returns."""
        try:
            path = base + inside(member.name, tolerant=self.tolerant)
            if member.is_link:
                waiting = _Waiting(path, target=base + inside(member.link, tolerant=self.tolerant))
            else:
                waiting = _Waiting(path, self._dirent(path, member))
        except FormatError as error:
            self._fault(member.name, str(error))
            return
        if self.rules.ignores(member.mode):
            return
        if stat.S_ISREG(member.mode) and not member.is_link:
            self.progress.expect(1, member.size)
            waiting = waiting._replace(pending=self.porter.begin(path, member.size, member.content))
        self._queue.append(waiting)
        queue = self._queue
        while queue and (len(queue) > _AHEAD or queue[0].pending is None or queue[0].pending.ready()):
            self._put(queue.popleft())

    def settle(self) -> None:
        """Wait for every content that is on its way."""
        while self._queue:
            self._put(self._queue.popleft())

    def finish(self) -> None:
        """Names of files that came later than they, or that only the last revision has, get what they are names of."""
        self.settle()
        for path, target in self.tree.links():
            self._late_link(path, target)
        for path in self.tree.displaced:
            self._fault(path, "is no directory in the archive, and something in the archive lies below it")
        self.faults.raise_any()

    def _put(self, item: _Waiting) -> None:
        entry, chunks = item.entry, _NO_CHUNKS
        if entry is None:
            self._link(item.path, item.target)
            return
        if item.pending is not None:
            content = item.pending.take()
            entry, chunks = entry._replace(digest=content.digest, flags=content.flags), content.chunks
            self.progress.advance(1, entry.size)
        self.tree.put(item.path, entry, chunks)

    def _dirent(self, path: bytes, member: Member) -> Dirent:
        """Its entry, which lacks the content's name. FormatError for what no system has."""
        if path == ROOT and not stat.S_ISDIR(member.mode):
            raise FormatError("has the name of the archive's top directory and is none")
        uid, gid = self.owner or (member.uid, member.gid)
        if uid not in _IDS or gid not in _IDS:
            raise FormatError(f"belongs to {uid}:{gid}, whom no system has")
        if member.mtime not in _TIMES:
            raise FormatError(f"is of a time {member.mtime} seconds from 1970")
        flags, size, symlink = int(Flag.FILE | Flag.SPECIAL), member.rdev, b""
        if stat.S_ISDIR(member.mode):
            flags, size = int(Flag.DIRECTORY), DIRECTORY_SIZE
        elif stat.S_ISREG(member.mode):
            flags, size = self.rules.file_flags, member.size
        elif stat.S_ISLNK(member.mode):
            symlink = _checked_target(member.link)
            flags, size = int(Flag.FILE | Flag.SYMLINK), len(symlink)
        attributes = {name: value for name, value in member.xattrs.items() if xattr.fits(name, value)}
        return Dirent(
            name=basename(path),
            mode=member.mode | (0o777 if stat.S_ISLNK(member.mode) else 0),
            size=size,
            mtime=member.mtime,
            mtime_ns=member.mtime_ns if self.rules.mtime_ns else None,
            uid=uid if self.rules.uids is None else self.rules.uids(uid),
            gid=gid if self.rules.gids is None else self.rules.gids(gid),
            flags=flags,
            hardlinks=1,
            symlink=symlink,
            digest=None,
            xattr_blob=xattr.encode(attributes) if self.rules.xattrs else None,
        )

    def _link(self, path: bytes, target: bytes) -> None:
        if path == target:
            return
        found = self.tree.find(target)
        if found is None or found.role is not Role.ENTRY:
            self.tree.link(path, target)
        elif found.entry is not None and found.entry.is_directory:
            self._fault(path, f"is another name of {_shown(target)}, which is a directory")
        elif found.entry is not None:
            self.tree.put(path, found.entry._replace(name=basename(path)), found.chunks, found.file)

    def _late_link(self, path: bytes, target: bytes) -> None:
        targets, end = dict(self.tree.links()), target
        for _ in range(_MOST_LINKS):
            end = targets.get(end, end)
        found = self.tree.find(end)
        if found is not None and found.entry is not None and not found.entry.is_directory:
            self.tree.put(path, found.entry._replace(name=basename(path)), found.chunks, found.file)
            return
        old = self.last.lookup(end) if found is None else None
        if old is None or old.is_directory:
            self._fault(path, f"is another name of {_shown(target)}, which is no file in the archive or the repository")
            return
        chunks: tuple[Chunk, ...] = self.last.chunks(end) if old.is_chunked else ()
        self.tree.put(path, old._replace(name=basename(path), hardlinks=1, rowid=0), chunks)

    def _fault(self, path: bytes, reason: str) -> None:
        self.faults.add(path, reason)
        if len(self.faults.found) >= _MOST_FAULTS:
            self.faults.raise_any()


def inside(name: bytes, *, tolerant: bool = False) -> bytes:
    """The path that an archive's name has below the directory that it is unpacked into. FormatError: see module."""
    if b"\0" in name:
        raise FormatError("has a NUL byte in its name")
    if not name:
        raise FormatError("has an empty name")
    if name.startswith(b"/") and not tolerant:
        raise FormatError("has an absolute name; make the archive without -P, or with -C / and relative names")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise FormatError("has '..' in its name, which leads out of its directory")
    if any(len(part) > _LONGEST_COMPONENT for part in parts):
        raise FormatError(f"has a name of more than {_LONGEST_COMPONENT} bytes, which no file system shows")
    return b"".join(b"/" + part for part in parts)


def _checked_target(target: bytes) -> bytes:
    if not target or b"\0" in target or len(target) > _LONGEST_LINK:
        raise FormatError("is a symbolic link to nothing, or to a longer path than systems take")
    return target


def _shown(path: bytes) -> str:
    return os.fsdecode(path) or "/"
