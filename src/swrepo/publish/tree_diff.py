"""A plain directory compared with the last revision, as a stream of changes in the order of the tree.

Only what stat tells is looked at here, and extended attributes and link targets of what may have changed. Content that
has to be read is named in `Put.read`; publish.ingest reads it and drops the change again where nothing changed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple

from swrepo.format.dirent import Dirent
from swrepo.format.paths import ROOT, basename, join
from swrepo.format.wellknown import GRAFT_PREFIX, NESTED_MARKER, RESERVED_DIRECTORY
from swrepo.publish import nesting, settled
from swrepo.publish.changes import Change, Kept, Left, Put, Removed
from swrepo.publish.entries import EntryRules, same
from swrepo.publish.faults import Faults
from swrepo.publish.glance import NO_MARK, Glance, glance
from swrepo.publish.grafts import Grafts
from swrepo.publish.last_revision import LastRevision
from swrepo.publish.nesting import Nesting
from swrepo.publish.settled import Settled
from swrepo.publish.siblings import Comparison, Found, Siblings, without_markers
from swrepo.publish.unchanged import is_unchanged

_LINKS_OF_EMPTY_DIRECTORY = 2
_NEVER = -(1 << 63)
_NAME = attrgetter("name")
_IS_DIRECTORY = attrgetter("is_directory")
_SNAPSHOTS = join(ROOT, RESERVED_DIRECTORY)
"""A hidden directory of the repository's own (upkeep.snapshots), in no work tree."""


class _Descent(NamedTuple):
    """Go down into this directory now. `is_settled`: its own entry is as it was, and was not looked up."""

    path: bytes
    found: Found
    is_settled: bool = False


class Present(NamedTuple):
    """The names in a directory, and what is called so, sorted, without files that are plainly those of last time.

    `grafted` are names of files whose contents markers tell; the markers are not among the names.
    """

    names: set[bytes]
    items: list[Found]
    grafted: frozenset[bytes]


class TreeDiff:
    """One scan of the directory `source`: iterate once, then look at what it counted."""

    def __init__(
        self,
        source: bytes,
        last: LastRevision,
        rules: EntryRules,
        known: Settled,
        faults: Faults,
        places: Nesting,
        grafts: Grafts | None = None,
        stays: frozenset[bytes] = frozenset(),
    ) -> None:
        """`grafts`: None for a tree whose grafts are of the usual kind, in a repository without external data.

        `stays`: paths that are not removed where the tree lacks them.
        """
        self._source = source.rstrip(b"/")
        self._settled = known
        self._stays = stays
        self.last = last
        self.has_snapshots = last.lookup(_SNAPSHOTS) is not None
        self.places = places
        self.faults = faults
        grafts = grafts or Grafts(self._source, last.chunks, faults, compression=rules.compression)
        self.comparison = Comparison(self._source, rules, known, faults, grafts)
        self.directories: dict[int, int] = {}
        """For the record that the next scan starts from."""
        self.entries = 0
        """Paths seen so far."""
        self.linked_elsewhere: list[bytes] = []
        """Files with further names in other directories, which become files of their own."""

    def __iter__(self) -> Iterator[Change]:
        root = self.found(ROOT)
        if root is not None:
            yield from self.below(ROOT, root)

    def below(self, path: bytes, found: Found) -> Iterator[Change]:
        """The changes of one directory, with all that is below it."""
        # A stack of generators and not recursion: a tree may be deeper than Python's stack.
        stack = [self._directory(_Descent(path, found))]
        while stack:
            for step in stack[-1]:
                if isinstance(step, _Descent):
                    stack.append(self._directory(step))
                    break
                yield step
            else:
                stack.pop()

    def status(self, path: bytes) -> os.stat_result | None:
        """What is at `path` of the tree (the root may be a symbolic link); None where nothing is."""
        try:
            return os.stat(self._source + path or b"/", follow_symlinks=path == ROOT)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.faults.add_os(path, error)
            return None

    def found(self, path: bytes) -> Found | None:
        """The same, with what the last revision has there."""
        status = self.status(path)
        if status is None or self.comparison.rules.ignores(status.st_mode):
            return None
        return Found(basename(path), status, self.last.lookup(path), stat.S_ISDIR(status.st_mode))

    def _directory(self, way: _Descent) -> Iterator[Change | _Descent]:
        """All of a directory: at a glance, where that tells that nothing in it has changed."""
        seen = glance(self._source + way.path or b"/", way.found.status)
        if seen is not None and self._is_as_before(way, seen):
            return self._kept(way, seen)
        if way.is_settled:
            way = _Descent(way.path, way.found._replace(old=self.last.lookup(way.path)))
        return self._compared(way.path, way.found, seen)

    def _is_as_before(self, way: _Descent, seen: Glance) -> bool:
        path = way.path
        if way.found.old is None and not way.is_settled:
            return False
        if not self._settled.is_as_before(path, way.found.status, seen.mark) or self.last.begins_catalog(path):
            return False
        names = {entry.name for entry in seen.entries}
        return not self.places.place(path, names, ()).nested  # rules may be new

    def _kept(self, way: _Descent, seen: Glance) -> Iterator[Change | _Descent]:
        """The directory's own entry, if that has changed, then the directories to go down to."""
        path, found = way.path, way.found
        settled.note(self.directories, path, found.status, seen.mark)
        self.entries += len(seen.entries)
        below = [entry for entry in seen.entries if entry.is_dir(follow_symlinks=False)]
        if not way.is_settled:
            yield self._own_entry(path, found, len(below), known=True, nested=False)
        for entry in sorted(below, key=_NAME):
            status = entry.stat(follow_symlinks=False)
            yield _Descent(join(path, entry.name), Found(entry.name, status, None, is_directory=True), is_settled=True)

    def _mark(self, seen: Glance | None, present: Present) -> int:
        """What the next scan may trust: nothing where a file was touched just now, or has to be looked at each time."""
        if seen is None or not self._settled.is_at_rest(seen.newest_ns) or present.grafted:
            return NO_MARK
        linked = any(item.status.st_nlink > 1 and not item.is_directory for item in present.items)
        return NO_MARK if linked else seen.mark

    def _compared(self, path: bytes, found: Found, seen: Glance | None) -> Iterator[Change | _Descent]:
        """The directory's own entry, then what is gone, then files, then the directories to go down to."""
        old = {} if found.old is None else {entry.name: entry for entry in self.last.listing(path)}
        known = self._settled.knows(path, found.status)
        present = self.present(path, old, None if seen is None else seen.entries, known=known)
        if present is None:
            return
        settled.note(self.directories, path, found.status, self._mark(seen, present))
        seen = None  # its memory is not needed on the way down
        names, items, grafted = present
        self.entries += len(names)
        self._check_names(path, present, old)
        absent = old.keys() - names
        stay = [old[name] for name in absent if join(path, name) in self._stays] if self._stays else []
        placement = self.places.place(path, names.union(entry.name for entry in stay), old.keys())
        nested = placement.nested
        directories = sum(map(_IS_DIRECTORY, items)) + sum(map(_IS_DIRECTORY, stay))
        own = self._own_entry(path, found, directories, known=known, nested=nested)
        yield own
        directory = own.entry if isinstance(own, Put) else own.old
        if placement.markers and directory is not None:
            for marker, entry in nesting.made(path, placement, old.keys(), self.places, directory):
                yield Put(marker, entry)
        others = {item.name for item in items if turned(item)}
        gone = (absent | others).difference(placement.markers, (entry.name for entry in stay))
        if gone:
            yield from (Removed(join(path, name), entry) for name, entry in old.items() if name in gone)
        items = [item._replace(old=None) if item.name in others else item for item in items]
        self.comparison.grafts.check(path, grafted, names)
        siblings = Siblings(path, self.comparison, known=known, grafted=grafted)
        yield from siblings.compare((item for item in items if not item.is_directory), old.values())
        self.linked_elsewhere += siblings.linked_elsewhere
        for item in items:
            if item.is_directory:
                yield _Descent(join(path, item.name), item)
        if nested:
            yield Left(path)

    def present(
        self,
        path: bytes,
        old: Mapping[bytes, Dirent],
        entries: Iterable[os.DirEntry[bytes]] | None = None,
        *,
        known: bool,
    ) -> Present | None:
        """What is in the directory; None where it cannot be read. `known`: it is that of the last publication.

        `entries` are what was read of it already; None: nothing.
        """
        try:
            if entries is not None:
                names, items = self._sorted_out(entries, old, known=known)
            else:
                with os.scandir(self._source + path or b"/") as read:
                    names, items = self._sorted_out(read, old, known=known)
        except OSError as error:
            self.faults.add_os(path, error)
            return None
        items.sort(key=_NAME)
        left, grafted = without_markers(items)
        if not grafted:
            return Present(names, items, grafted)
        if known:  # whether these are as they were, the markers tell and not stat
            return self.present(path, old, entries, known=False)
        return Present({item.name for item in left}, left, grafted)

    def _sorted_out(
        self, entries: Iterable[os.DirEntry[bytes]], old: Mapping[bytes, Dirent], *, known: bool
    ) -> tuple[set[bytes], list[Found]]:
        """The names, and what is not plainly as it was."""
        names, items, rules = set[bytes](), list[Found](), self.comparison.rules
        before_ns = self._settled.trusted_before_ns if known else _NEVER
        for entry in entries:
            name = entry.name
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # removed since the directory was read: it is not there
            was = old.get(name)
            # A marker of a graft that was published as a file once is none of what is passed over.
            is_marker = name.startswith(GRAFT_PREFIX)
            if was is not None and not is_marker and is_unchanged(status, was, rules, before_ns):
                names.add(name)
            elif not rules.ignores(status.st_mode):
                names.add(name)
                items.append(Found(name, status, was, stat.S_ISDIR(status.st_mode)))
        return names, items

    def _check_names(self, path: bytes, present: Present, old: Mapping[bytes, Dirent]) -> None:
        """What the format forbids becomes a fault."""
        marker = None
        if NESTED_MARKER in present.names:
            new = next((item.status.st_mode for item in present.items if item.name == NESTED_MARKER), None)
            marker = old[NESTED_MARKER].mode if new is None else new
        nesting.check_names(path, present.names, marker, self.faults)

    def _own_entry(self, path: bytes, found: Found, directories: int, *, known: bool, nested: bool) -> Put | Kept:
        links = _LINKS_OF_EMPTY_DIRECTORY + directories
        if path == ROOT and self.has_snapshots:
            links += 1
        if known and self.comparison.is_settled(found, links):
            return Kept(path, found.old, nested)
        entry = self.comparison.entry(path, found, links)
        if entry is None or (found.old is not None and same(entry, found.old)):
            return Kept(path, found.old, nested)
        return Put(path, entry, found.old, nested=nested)


def turned(item: Found) -> bool:
    """Whether a directory became something else, or something else a directory."""
    return item.old is not None and item.old.is_directory != item.is_directory
