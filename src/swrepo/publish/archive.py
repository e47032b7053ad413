"""The members of an archive as entries of a LayeredTree, their contents on the way to the store.

Nothing is unpacked. A name that leads elsewhere, or that no file system has, is a fault of the archive.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from swrepo.errors import FormatError
from swrepo.format import xattr
from swrepo.format.dirent import Chunk, Dirent, Flag
from swrepo.format.paths import ROOT, basename
from swrepo.publish.entries import DIRECTORY_SIZE, EntryRules
from swrepo.publish.faults import Faults
from swrepo.publish.last_revision import LastRevision
from swrepo.publish.layered_tree import LayeredTree
from swrepo.publish.member import Member
from swrepo.publish.member_content import Pending, Porter
from swrepo.publish.member_grafts import MemberGrafts
from swrepo.publish.progress import Progress

_AHEAD = 2000
"""Members that wait for the content of one before them."""

_MOST_FAULTS = 100
_LONGEST_COMPONENT = 255
_LONGEST_LINK = 4095
_MOST_LINKS = 40
_NO_CHUNKS: tuple[Chunk, ...] = ()
_IDS = range(1 << 32)
_TIMES = range(-(1 << 62), 1 << 62)


class Destination(Protocol):
    """Where an archive's entries go, by their paths in it (ROOT: its top directory)."""

    base: bytes
    """The repository's directory that the archive is laid into, as far as there is one."""

    def put(self, path: bytes, entry: Dirent, chunks: tuple[Chunk, ...]) -> None:
        """The path shall have this entry. FormatError where that makes no sense."""
        ...

    def link(self, path: bytes, target: bytes) -> None:
        """The path shall be another name of `target`. FormatError where that makes no sense."""
        ...


class Below:
    """A Destination: the directory `base` of the repository."""

    def __init__(self, tree: LayeredTree, base: bytes) -> None:
        self._tree = tree
        self.base = base
        tree.imply(base)

    def put(self, path: bytes, entry: Dirent, chunks: tuple[Chunk, ...]) -> None:
        """See Destination."""
        path = self.base + path
        self._tree.put(path, entry._replace(name=basename(path)), chunks)

    def link(self, path: bytes, target: bytes) -> None:
        """See Destination: what is not there yet may come later, or be in the last revision."""
        path, end = self.base + path, self.base + target
        if path != end and not self.try_link(path, end):
            self._tree.link(path, end)

    def try_link(self, path: bytes, target: bytes) -> bool:
        """The same with paths of the repository, provided that the target is there."""
        found = self._tree.find(target)
        if found is None or found.entry is None:
            return False
        if found.entry.is_directory:
            raise FormatError(f"is another name of {_shown(target)}, which is a directory")
        self._tree.put(path, found.entry._replace(name=basename(path)), found.chunks, found.file)
        return True


class Owner(NamedTuple):
    """Whom everything belongs to, whatever the archive says."""

    uid: int
    gid: int


class _Waiting(NamedTuple):
    """What comes next into the tree, in the archive's order: an entry, once its content is stored, or a name of
    `target`.
    """

    destination: Destination
    path: bytes
    entry: Dirent | None
    pending: Pending | None
    target: bytes | None


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
    grafts: MemberGrafts | None = None
    """None: files whose names are those of markers are files as others."""
    tolerant: bool = False
    """Names that begin with a slash are as good as others: all are below a directory of their own."""
    _queue: deque[_Waiting] = field(default_factory=deque)

    def take(self, destination: Destination, members: Iterable[Member]) -> None:
        """Lay an archive over what was gathered; when this returns, all of it is stored."""
        for member in members:
            self._add(destination, member)
        self._settle()

    def _add(self, destination: Destination, member: Member) -> None:
        """One member, whose content is read when this returns."""
        try:
            path = inside(member.name, tolerant=self.tolerant)
            target = inside(member.link, tolerant=self.tolerant) if member.is_link else None
            if self.grafts is not None and self.grafts.take(destination.base + path, member):
                return
            entry = None if member.is_link else self._dirent(path, member)
        except FormatError as error:
            self._fault(member.name, str(error))
            return
        if self.rules.ignores(member.mode):
            return
        pending = None
        if stat.S_ISREG(member.mode) and not member.is_link:
            self.progress.expect(1, member.size)
            pending = self.porter.begin(destination.base + path, member.size, member.content)
        self._queue.append(_Waiting(destination, path, entry, pending, target))
        queue = self._queue
        while queue and (len(queue) > _AHEAD or queue[0].pending is None or queue[0].pending.ready()):
            self._put(queue.popleft())

    def _settle(self) -> None:
        """Wait for every content that is on its way."""
        while self._queue:
            self._put(self._queue.popleft())

    def finish(self) -> None:
        """Names of files that came later than they, or that only the last revision has, get what they are names of."""
        self._settle()
        if self.grafts is not None:
            self.grafts.finish()
        links = dict(self.tree.links())
        for path, target in links.items():
            self._late_link(path, target, links)
        for path in self.tree.displaced:
            self._fault(path, "is no directory in the archive, and something in the archive lies below it")
        self.faults.raise_any()

    def _put(self, item: _Waiting) -> None:
        entry, chunks = item.entry, _NO_CHUNKS
        try:
            if entry is None:
                assert item.target is not None  # noqa: S101 - a member is an entry or a name of another
                item.destination.link(item.path, item.target)
                return
            if item.pending is not None:
                content = item.pending.take()
                entry, chunks = entry._replace(digest=content.digest, flags=content.flags), content.chunks
                self.progress.advance(1, entry.size)
                if self.grafts is not None:
                    entry, chunks = self.grafts.of(item.destination.base + item.path, entry, chunks)
            item.destination.put(item.path, entry, chunks)
        except FormatError as error:
            self._fault(item.path, str(error))

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

    def _late_link(self, path: bytes, target: bytes, links: Mapping[bytes, bytes]) -> None:
        end = target
        for _ in range(_MOST_LINKS):
            end = links.get(end, end)
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
