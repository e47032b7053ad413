"""Paths that somebody says have changed, compared with the last revision; all others are taken as they were published.

What is looked at are these paths, what is below them, and the directories on the way to them: so the work is that of
the changes and not of the tree, and only catalogs on the way are read and written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from swrepo.format.dirent import Dirent
from swrepo.format.paths import ROOT, join
from swrepo.format.wellknown import AUTO_MARKER, DIRTAB, GRAFT_PREFIX, NESTED_MARKER
from swrepo.publish import nesting
from swrepo.publish.changes import Change, Kept, Left, Put, Removed
from swrepo.publish.entries import same
from swrepo.publish.grafts import grafted_name, is_marker
from swrepo.publish.siblings import Found, Siblings, without_markers
from swrepo.publish.tree_diff import TreeDiff, turned

_MARKERS = (NESTED_MARKER, AUTO_MARKER)
_LONGEST_NAME = 255


class Touched(NamedTuple):
    """What may have changed since the last revision, as paths of the repository.

    `trees` with all that is below them; of `entries` that are directories only themselves. `is_merged`: the source
    shows the last revision too, as a union mount does, with all of its markers.
    """

    trees: frozenset[bytes] = frozenset()
    entries: frozenset[bytes] = frozenset()
    is_merged: bool = False

    @property
    def is_everything(self) -> bool:
        """Whether all of the tree has to be compared: its rules for catalogs hold everywhere."""
        rules = b"/" + DIRTAB
        return ROOT in self.trees or rules in self.trees or rules in self.entries


@dataclass(slots=True)
class _Node:
    """A path that was named (`whole`: with all below it), or a directory on the way to one."""

    whole: bool = False
    below: dict[bytes, _Node] = field(default_factory=dict)


class _Way(NamedTuple):
    """A directory on the way, to go down to."""

    path: bytes
    found: Found
    node: _Node


class ChangedPaths:
    """Changes of the paths in `touched`, in the order of the tree: iterate once. `scan` compares and counts."""

    def __init__(self, scan: TreeDiff, touched: Touched) -> None:
        self._scan = scan
        self._touched = touched
        self.nowhere: list[bytes] = []
        """Paths that are neither in the tree nor in the last revision."""

    def __iter__(self) -> Iterator[Change]:
        scan, root = self._scan, _grown(self._touched)
        top = scan.found(ROOT)
        if top is None:
            return
        # A stack of generators for the same reason as in tree_diff.
        stack = [self._directory(_Way(ROOT, top, root))]
        while stack:
            for step in stack[-1]:
                if isinstance(step, _Way):
                    if step.node.whole or step.found.old is None:
                        yield from scan.below(step.path, step.found)
                        continue
                    stack.append(self._directory(step))
                    break
                yield step
            else:
                stack.pop()

    def _directory(self, way: _Way) -> Iterator[Change | _Way]:
        """The directory's own entry, then which named paths are gone, then files, then directories to go down to."""
        path, node, scan = way.path, way.node, self._scan
        present, old = self._named(path, node)
        scan.entries += len(present)
        own, placement = self._own(way, present, old)
        yield own
        directory = own.entry if isinstance(own, Put) else own.old
        if placement.markers and directory is not None:
            for marker, entry in nesting.made(path, placement, self._old_markers(path), scan.places, directory):
                yield Put(marker, entry)
        kept = {item.name for item in present if not turned(item)}.union(placement.markers)
        for name, entry in old.items():
            if name in node.below and name not in kept:
                yield Removed(join(path, name), entry)
        present = [item._replace(old=None) if turned(item) else item for item in present]
        siblings = Siblings(path, scan.comparison, known=False, grafted=self._grafted(path, present, node))
        yield from siblings.compare((item for item in present if not item.is_directory), old.values())
        scan.linked_elsewhere += siblings.linked_elsewhere
        for item in present:
            if item.is_directory:
                yield _Way(join(path, item.name), item, node.below[item.name])
        if placement.nested:
            yield Left(path)

    def _named(self, path: bytes, node: _Node) -> tuple[list[Found], dict[bytes, Dirent]]:
        """Of the directory at `path` what is there and what was there, sorted by name: all that was named, and the
        other names of files that have several.
        """
        scan = self._scan
        old = {name: entry for name in sorted(node.below) if (entry := scan.last.lookup(join(path, name))) is not None}
        present = [found for name in sorted(node.below) if (found := scan.found(join(path, name))) is not None]
        present, _ = without_markers(present)
        there = {item.name for item in present}.union(old)
        self.nowhere += (join(path, name) for name in node.below.keys() - there if not grafted_name(name))
        linked = any(item.status.st_nlink > 1 and not item.is_directory for item in present)
        if not linked and not any(entry.hardlink_group for entry in old.values() if not entry.is_directory):
            return present, old
        all_old = {entry.name: entry for entry in scan.last.listing(path)}
        everything = scan.present(path, all_old, known=False)
        items = [] if everything is None else everything.items
        return [item for item in items if item.name in node.below or _is_linked(item)], all_old

    def _grafted(self, path: bytes, present: list[Found], node: _Node) -> frozenset[bytes]:
        """Of the files that are there those that have a marker. One that was named and has no file becomes a fault."""
        files = {item.name for item in present if not item.is_directory}
        named = {grafted for name in node.below if (grafted := grafted_name(name))}
        found = frozenset(name for name in files | named if self._has_marker(path, name))
        self._scan.comparison.grafts.check(path, found, files)
        return found

    def _has_marker(self, path: bytes, name: bytes) -> bool:
        marker = GRAFT_PREFIX + name
        status = self._scan.status(join(path, marker)) if len(marker) <= _LONGEST_NAME else None
        return status is not None and is_marker(marker, status.st_mode)

    def _own(self, way: _Way, present: list[Found], old: dict[bytes, Dirent]) -> tuple[Put | Kept, nesting.Placement]:
        """The entry of the directory itself, and whether it starts a catalog."""
        path, found, node, scan = way.path, way.found, way.node, self._scan
        markers = {name: status for name in _MARKERS if (status := scan.status(join(path, name))) is not None}
        marker = markers.get(NESTED_MARKER)
        names = {item.name for item in present}.union(markers)
        nesting.check_names(path, names, None if marker is None else marker.st_mode, scan.faults)
        placement = scan.places.place(path, names, self._old_markers(path))
        was = found.old
        assert was is not None  # noqa: S101 - else it is no directory on the way but a new tree
        links = was.linkcount + sum(item.is_directory for item in present)
        links -= sum(old[name].is_directory for name in node.below if name in old)
        entry = scan.comparison.entry(path, found, links)
        if entry is None or same(entry, was):
            return Kept(path, was, placement.nested), placement
        return Put(path, entry, was, nested=placement.nested), placement

    def _old_markers(self, path: bytes) -> set[bytes]:
        return {name for name in _MARKERS if self._scan.last.lookup(join(path, name)) is not None}


def _grown(touched: Touched) -> _Node:
    """The named paths as a tree."""
    root = _Node()
    for paths, whole in ((touched.trees, True), (touched.entries, False)):
        for path in paths:
            node = above = root
            name = b""
            for name in path.split(b"/")[1:]:
                above, node = node, node.below.setdefault(name, _Node())
            node.whole = node.whole or whole
            if grafted := grafted_name(name):
                above.below.setdefault(grafted, _Node())
    return root


def _is_linked(item: Found) -> bool:
    if item.is_directory:
        return False
    return item.status.st_nlink > 1 or (item.old is not None and item.old.hardlink_group != 0)
