"""A LayeredTree laid over the last revision, as a stream of changes in the order of the tree.

Only what the tree names is looked at, so the work is that of an archive and not of the repository.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from swrepo.format.dirent import Dirent, Flag
from swrepo.format.paths import ROOT, basename, join
from swrepo.format.wellknown import AUTO_MARKER, NESTED_MARKER
from swrepo.publish import nesting
from swrepo.publish.changes import Change, Kept, Left, Put, Removed
from swrepo.publish.entries import DIRECTORY_SIZE, same
from swrepo.publish.faults import Faults
from swrepo.publish.last_revision import LastRevision
from swrepo.publish.layered_tree import LayeredTree, Node, Role
from swrepo.publish.nesting import Nesting

_MARKERS = (NESTED_MARKER, AUTO_MARKER)
_LINKS_OF_EMPTY_DIRECTORY = 2
_DIRECTORY_MODE = 0o40755


class _Descent(NamedTuple):
    """Go down into this directory now. `old`: what shows of it from the last revision."""

    path: bytes
    node: Node
    old: Dirent | None


class _Below(NamedTuple):
    """What a directory holds now, as far as it is looked at, and what of it was there before, by name."""

    present: list[tuple[Node, Dirent | None]]
    gone: list[Dirent]
    old: dict[bytes, Dirent]


@dataclass(slots=True)
class LayeredChanges:
    """Iterate once, then look at what it counted. `maker`: a directory with the attributes of those nobody told of."""

    tree: LayeredTree
    last: LastRevision
    places: Nesting
    faults: Faults
    maker: Dirent
    entries: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[Change]:
        root = self.tree.find(ROOT)
        if root is None:
            return
        # A stack of generators and not recursion: a tree may be deeper than Python's stack.
        stack = [self._directory(_Descent(ROOT, root, self.last.lookup(ROOT)))]
        while stack:
            for step in stack[-1]:
                if isinstance(step, _Descent):
                    stack.append(self._directory(step))
                    break
                yield step
            else:
                stack.pop()

    def _directory(self, at: _Descent) -> Iterator[Change | _Descent]:
        """The directory's own entry, then what is gone, then files, then the directories to go down to."""
        path, below = at.path, self._below(at)
        self.entries += len(below.present)
        placement = self._placement(at, below)
        own = self._own(at, below, nested=placement.nested)
        yield own
        directory = own.entry if isinstance(own, Put) else own.old
        assert directory is not None  # noqa: S101 - a directory that stays has an entry
        old_markers = self._old_markers(at, below)
        for marker, entry in nesting.made(path, placement, old_markers, self.places, directory):
            yield Put(marker, entry)
        for entry in below.gone:
            if entry.name not in placement.markers:
                yield Removed(join(path, entry.name), entry)
        for node, old in below.present:
            if old is not None and _is_directory(node) != old.is_directory:
                yield Removed(join(path, node.name), old)
        yield from self._files(at, below)
        for node, old in below.present:
            if _is_directory(node):
                shown = old if old is not None and old.is_directory else None
                yield _Descent(join(path, node.name), node, shown)
        if placement.nested:
            yield Left(path)

    def _below(self, at: _Descent) -> _Below:
        nodes = self.tree.children(at.path)
        if at.node.opaque:  # nothing of what was there shows, in no depth
            nodes = [node._replace(opaque=True) for node in nodes if node.role is not Role.WAY]
        old: dict[bytes, Dirent] = {}
        if at.old is not None and at.node.opaque:
            old = {entry.name: entry for entry in self.last.listing(at.path)}
        elif at.old is not None:
            found = ((node.name, self.last.lookup(join(at.path, node.name))) for node in nodes)
            old = {name: entry for name, entry in found if entry is not None}
        present, named = [], set()
        for node in nodes:
            was = old.get(node.name)
            if node.role is Role.GONE or (node.role is Role.WAY and (was is None or not was.is_directory)):
                continue
            if node.role is Role.IMPLIED and was is not None and not was.is_directory and not node.opaque:
                self.faults.add(
                    join(at.path, node.name),
                    "is no directory in the last revision, and something shall lie below it; delete it (-d), or "
                    "choose another base directory",
                )
                continue
            named.add(node.name)
            present.append((node, was))
        is_way = {node.name for node in nodes if node.role is Role.WAY}
        gone = [entry for name, entry in old.items() if name not in named and name not in is_way]
        return _Below(present, gone, old)

    def _own(self, at: _Descent, below: _Below, *, nested: bool) -> Put | Kept:
        subdirectories = sum(_is_directory(node) for node, _ in below.present)
        if at.old is None or at.node.opaque:
            links = _LINKS_OF_EMPTY_DIRECTORY + subdirectories
        else:
            kept = sum(entry.is_directory for entry in below.old.values())
            links = at.old.linkcount + subdirectories - kept
        entry = at.node.entry
        if entry is None:
            entry = at.old or self.maker._replace(name=basename(at.path))
        entry = entry._replace(hardlinks=links, size=DIRECTORY_SIZE, flags=int(Flag.DIRECTORY), rowid=0)
        if at.old is not None and same(entry, at.old):
            return Kept(at.path, at.old, nested)
        return Put(at.path, entry, at.old, nested=nested)

    def _placement(self, at: _Descent, below: _Below) -> nesting.Placement:
        names = {node.name for node, _ in below.present}
        marker = next((node.entry.mode for node, _ in below.present if node.name == NESTED_MARKER and node.entry), None)
        if not at.node.opaque:
            gone = {entry.name for entry in below.gone}
            names |= self._old_markers(at, below) - gone
        nesting.check_names(at.path, names, marker, self.faults)
        return self.places.place(at.path, names, self._old_markers(at, below))

    def _old_markers(self, at: _Descent, below: _Below) -> set[bytes]:
        if at.old is None:
            return set()
        return {name for name in _MARKERS if name in below.old or self.last.lookup(join(at.path, name)) is not None}

    def _files(self, at: _Descent, below: _Below) -> Iterator[Put]:
        """Names of one file in this directory are linked; those elsewhere are files of their own."""
        files = [(node, old) for node, old in below.present if not _is_directory(node)]
        sizes = Counter(node.file for node, _ in files)
        regrouped_files = {node.file for node, old in files if _is_regrouped(old, sizes[node.file])}
        regrouped_files |= _mixed(files)
        leaders: dict[int, bytes] = {}
        for node, old in files:
            assert node.entry is not None  # noqa: S101 - what is no directory is an entry
            path, was = join(at.path, node.name), None if old is None or old.is_directory else old
            links = sizes[node.file]
            leader = leaders.setdefault(node.file, path) if links > 1 else None
            entry = node.entry._replace(hardlinks=links)
            regrouped = node.file in regrouped_files
            if regrouped or was is None or not same(entry, was) or self._has_other_chunks(path, node, was):
                yield Put(path, entry, was, group=leader, regrouped=regrouped, chunks=node.chunks)
        yield from self._left_alone(at, below)

    def _has_other_chunks(self, path: bytes, node: Node, old: Dirent) -> bool:
        return bool(node.chunks) and (not old.is_chunked or node.chunks != self.last.chunks(path))

    def _left_alone(self, at: _Descent, below: _Below) -> Iterator[Put]:
        """Names that stay of files whose other names go or become something else: there are fewer of them now."""
        if at.old is None or at.node.opaque:
            return
        groups = {entry.hardlink_group for entry in below.old.values() if not entry.is_directory} - {0}
        if not groups:
            return
        members: dict[int, list[Dirent]] = {group: [] for group in groups}
        for entry in self.last.listing(at.path):
            if not entry.is_directory and entry.hardlink_group in groups and entry.name not in below.old:
                members[entry.hardlink_group].append(entry)
        for stay in members.values():
            leader = join(at.path, stay[0].name) if len(stay) > 1 else None
            for old in stay:
                path = join(at.path, old.name)
                chunks = self.last.chunks(path) if old.is_chunked else ()
                entry = old._replace(hardlinks=len(stay), rowid=0)
                yield Put(path, entry, old, group=leader, regrouped=True, chunks=chunks)


def _is_regrouped(old: Dirent | None, links: int) -> bool:
    """Whether a name belongs to another number of names than in the last revision."""
    if old is None or old.is_directory:
        return links > 1
    return (old.hardlink_group != 0) != (links > 1) or (links > 1 and old.linkcount != links)


def _mixed(files: list[tuple[Node, Dirent | None]]) -> set[int]:
    """Files whose names were not all names of one file."""
    groups: dict[int, set[int]] = {}
    for node, old in files:
        if old is not None and old.hardlink_group and not old.is_directory:
            groups.setdefault(node.file, set()).add(old.hardlink_group)
    return {file for file, found in groups.items() if len(found) > 1}


def _is_directory(node: Node) -> bool:
    return node.may_hold


def maker(uid: int, gid: int, mtime: int, mtime_ns: int | None) -> Dirent:
    """The attributes of directories that an archive needs and does not have."""
    flags = int(Flag.DIRECTORY)
    return Dirent(b"", _DIRECTORY_MODE, DIRECTORY_SIZE, mtime, mtime_ns, uid, gid, flags, 2, b"", None, None)
