"""A plain directory compared with the last revision, as a stream of changes in the order of the tree.

Only what stat tells is looked at here, and extended attributes and link targets of what may have changed. Content that
has to be read is named in `Put.read`; publish.ingest reads it and drops the change again where nothing changed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from swrepo.format.dirent import Dirent
from swrepo.format.paths import ROOT, basename, join
from swrepo.format.wellknown import NESTED_MARKER, RESERVED_DIRECTORY
from swrepo.publish import nesting
from swrepo.publish.changes import Change, Kept, Left, Put, Removed
from swrepo.publish.entries import EntryRules, same
from swrepo.publish.faults import Faults
from swrepo.publish.grafts import Grafts
from swrepo.publish.last_revision import LastRevision
from swrepo.publish.nesting import Nesting
from swrepo.publish.settled import Settled, note
from swrepo.publish.siblings import Comparison, Found, Siblings, without_markers

_LINKS_OF_EMPTY_DIRECTORY = 2
_SNAPSHOTS = join(ROOT, RESERVED_DIRECTORY)
"""A hidden directory of the repository's own (upkeep.snapshots), in no work tree."""


class _Descent(NamedTuple):
    """Go down into this directory now."""

    path: bytes
    found: Found


class TreeDiff:
    """One scan of the directory `source`: iterate once, then look at what it counted."""

    def __init__(
        self,
        source: bytes,
        last: LastRevision,
        rules: EntryRules,
        settled: Settled,
        faults: Faults,
        places: Nesting,
        grafts: Grafts | None = None,
        stays: frozenset[bytes] = frozenset(),
    ) -> None:
        """`grafts`: None for a tree whose grafts are of the usual kind, in a repository without external data.

        `stays`: paths that are not removed where the tree lacks them.
        """
        self._source = source.rstrip(b"/")
        self._settled = settled
        self._stays = stays
        self.last = last
        self.places = places
        self.faults = faults
        grafts = grafts or Grafts(self._source, last.chunks, faults, compression=rules.compression)
        self.comparison = Comparison(self._source, rules, settled, faults, grafts)
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
        stack = [self._directory(path, found)]
        while stack:
            for step in stack[-1]:
                if isinstance(step, _Descent):
                    stack.append(self._directory(step.path, step.found))
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

    def _directory(self, path: bytes, found: Found) -> Iterator[Change | _Descent]:
        """The directory's own entry, then what is gone, then files, then the directories to go down to."""
        old = {} if found.old is None else {entry.name: entry for entry in self.last.listing(path)}
        present = self.present(path, old)
        if present is None:
            return
        present, grafted = without_markers(present)
        self.entries += len(present)
        known = self._settled.knows(path, found.status)
        note(self.directories, path, found.status)
        names = self._checked_names(path, present)
        stay = [entry for name, entry in old.items() if name not in names and join(path, name) in self._stays]
        placement = self.places.place(path, names.union(entry.name for entry in stay), old.keys())
        nested = placement.nested
        directories = sum(item.is_directory for item in present) + sum(entry.is_directory for entry in stay)
        own = self._own_entry(path, found, directories, known=known, nested=nested)
        yield own
        directory = own.entry if isinstance(own, Put) else own.old
        if placement.markers and directory is not None:
            for marker, entry in nesting.made(path, placement, old.keys(), self.places, directory):
                yield Put(marker, entry)
        if old:
            kept = {item.name for item in present if not turned(item)}.union(placement.markers)
            kept.update(entry.name for entry in stay)
            for name, entry in old.items():
                if name not in kept:
                    yield Removed(join(path, name), entry)
            present = [item._replace(old=None) if turned(item) else item for item in present]
        self.comparison.grafts.check(path, grafted, names)
        siblings = Siblings(path, self.comparison, known=known, grafted=grafted)
        yield from siblings.compare((item for item in present if not item.is_directory), old.values())
        self.linked_elsewhere += siblings.linked_elsewhere
        for item in present:
            if item.is_directory:
                yield _Descent(join(path, item.name), item)
        if nested:
            yield Left(path)

    def present(self, path: bytes, old: Mapping[bytes, Dirent]) -> list[Found] | None:
        """What is in the directory, sorted by name; None where it cannot be read."""
        found = []
        try:
            with os.scandir(self._source + path or b"/") as entries:
                for entry in entries:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # removed since the directory was read: it is not there
                    if self.comparison.rules.ignores(status.st_mode):
                        continue
                    is_directory = stat.S_ISDIR(status.st_mode)
                    found.append(Found(entry.name, status, old.get(entry.name), is_directory))
        except OSError as error:
            self.faults.add_os(path, error)
            return None
        found.sort(key=lambda item: item.name)
        return found

    def _checked_names(self, path: bytes, present: list[Found]) -> set[bytes]:
        """The names in the directory; what the format forbids becomes a fault."""
        marker = next((item.status.st_mode for item in present if item.name == NESTED_MARKER), None)
        names = {item.name for item in present}
        nesting.check_names(path, names, marker, self.faults)
        return names

    def _own_entry(self, path: bytes, found: Found, directories: int, *, known: bool, nested: bool) -> Put | Kept:
        links = _LINKS_OF_EMPTY_DIRECTORY + directories
        if path == ROOT and self.last.lookup(_SNAPSHOTS) is not None:
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
