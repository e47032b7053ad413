"""Walks one revision, or two side by side to tell what differs. Both are generators whose memory does not grow.

What is held at a time is one listing per level of the tree. Nested catalogs that a walk had to load are let go of when
it leaves them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from swrepo.catalog.rows import STRUCTURE
from swrepo.catalog.tree import CatalogTree
from swrepo.errors import PathNotFound
from swrepo.format.dirent import Dirent
from swrepo.format.paths import ROOT, join
from swrepo.repository.revision import Revision

_FLAGS = Dirent._fields.index("flags")
_ROWID = Dirent._fields.index("rowid")


class Added(NamedTuple):
    """A path that only the newer revision has."""

    path: bytes
    entry: Dirent


class Removed(NamedTuple):
    """A path that only the older revision has."""

    path: bytes
    entry: Dirent


class Changed(NamedTuple):
    """A path that both have, with another type, content or metadata."""

    path: bytes
    old: Dirent
    new: Dirent


Difference = Added | Removed | Changed

_Pair = tuple[bytes, Dirent | None, Dirent | None]
"""A path, and its entry in each of two trees."""


def walk(
    revision: Revision, path: bytes = ROOT, enters: Callable[[bytes], bool] = lambda _path: True
) -> Iterator[tuple[bytes, Dirent]]:
    """`path` and everything below it, a directory before what it holds, names in the order of their bytes.

    Hidden entries are left out (except `path` itself), and what is in directories that `enters` refuses. PathNotFound.
    """
    tree = revision.tree
    yield path, (start := revision.lookup(path))
    stack = [_Level(tree, path, start)]
    while stack:
        level = stack[-1]
        entry = level.next()
        if entry is None:
            level.leave()
            stack.pop()
            continue
        inner = join(level.path, entry.name)
        yield inner, entry
        if entry.is_directory and enters(inner):
            stack.append(_Level(tree, inner, entry))


def diff(
    old: Revision, new: Revision, path: bytes = ROOT, *, whole_trees: bool = True, catalogs: bool = False
) -> Iterator[Difference]:
    """What is different below `path` in `new`, in the order of `walk`.

    Nested catalogs that are the same in both are not even loaded. Where only one has a directory, all that is in it is
    told too, unless `whole_trees` is false. With `catalogs`, so is where a catalog begins in only one. PathNotFound
    where neither has `path`.
    """
    before, after = old.find(path), new.find(path)
    if before is None and after is None:
        raise PathNotFound(f"in neither revision: {path!r}")
    if path == ROOT and old.root == new.root:
        return
    stack: list[Iterator[_Pair]] = [iter([(path, before, after)])]
    leaving: list[tuple[_Level, _Level] | None] = [None]
    while stack:
        pair = next(stack[-1], None)
        if pair is None:
            stack.pop()
            for level in leaving.pop() or ():
                level.leave()
            continue
        yield from _told(old, new, pair, catalogs=catalogs)
        if _worth_entering(old, new, pair, whole_trees=whole_trees):
            levels = (_Level(old.tree, pair[0], pair[1]), _Level(new.tree, pair[0], pair[2]))
            stack.append(_side_by_side(*levels))
            leaving.append(levels)


def _told(old: Revision, new: Revision, pair: _Pair, *, catalogs: bool) -> Iterator[Difference]:
    path, before, after = pair
    if before is None and after is not None:
        yield Added(path, after)
    elif after is None and before is not None:
        yield Removed(path, before)
    elif (
        before is not None
        and after is not None
        and (not _same(old, new, path, before, after) or (catalogs and (before.flags ^ after.flags) & STRUCTURE))
    ):
        yield Changed(path, before, after)


def _worth_entering(old: Revision, new: Revision, pair: _Pair, *, whole_trees: bool) -> bool:
    path, before, after = pair
    directories = [entry for entry in (before, after) if entry is not None and entry.is_directory]
    if len(directories) < 2:
        return whole_trees and bool(directories)
    mounted = old.tree.mounted(path)
    return mounted is None or mounted != new.tree.mounted(path)


def _same(old: Revision, new: Revision, path: bytes, before: Dirent, after: Dirent) -> bool:
    """Whether two entries show the same; where catalogs begin does not show, nor does the number of a row."""
    if before[:_ROWID] != after[:_ROWID] and _visible(before) != _visible(after):
        return False
    return not before.is_chunked or old.chunks(path) == new.chunks(path)


def _visible(entry: Dirent) -> tuple[object, ...]:
    return (*entry[:_FLAGS], entry.flags & ~STRUCTURE, *entry[_FLAGS + 1 : _ROWID])


class _Level:
    """A directory that is being walked: its entries by name, and whether its catalog was loaded for that."""

    __slots__ = ("_entries", "_position", "_tree", "forget", "path")

    def __init__(self, tree: CatalogTree, path: bytes, entry: Dirent | None) -> None:
        self.path = path
        self.forget = False
        self._tree = tree
        self._entries: list[Dirent] = []
        self._position = 0
        if entry is not None and entry.is_directory:
            self.forget = tree.find_loaded(path) is None
            self._entries = sorted(tree.listing(path))

    def next(self) -> Dirent | None:
        """The next entry, None at the end."""
        entry = self.peek()
        self._position += 1
        return entry

    def peek(self) -> Dirent | None:
        """The next entry, which stays the next."""
        return self._entries[self._position] if self._position < len(self._entries) else None

    def leave(self) -> None:
        """Let go of the catalog."""
        if self.forget:
            self._tree.forget(self.path)


def _side_by_side(old: _Level, new: _Level) -> Iterator[_Pair]:
    while True:
        before, after = old.peek(), new.peek()
        if before is None and after is None:
            return
        if after is None or (before is not None and before.name < after.name):
            after = None
        elif before is None or after.name < before.name:
            before = None
        if before is not None:
            old.next()
        if after is not None:
            new.next()
        name = before.name if before is not None else after.name if after is not None else b""
        yield join(old.path, name), before, after
