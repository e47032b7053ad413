"""The files of one directory compared with the last revision, hard link groups as wholes.

The format links names only within one directory. Names of the same file in other directories become files of their own;
their content is stored once all the same.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from swrepo.errors import FormatError
from swrepo.format.dirent import Dirent
from swrepo.format.paths import join
from swrepo.format.wellknown import GRAFT_PREFIX
from swrepo.publish.changes import Identity, Put
from swrepo.publish.entries import EntryRules, same
from swrepo.publish.faults import Faults
from swrepo.publish.grafts import NO_GRAFTS, Grafts, grafted_name, is_marker
from swrepo.publish.settled import Settled


class Found(NamedTuple):
    """A name in a directory of the work tree, with the last revision's entry of that name."""

    name: bytes
    status: os.stat_result
    old: Dirent | None
    is_directory: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is needed to compare one thing of the work tree with the last revision."""

    source: bytes
    rules: EntryRules
    settled: Settled
    faults: Faults
    grafts: Grafts

    def is_settled(self, item: Found, links: int) -> bool:
        """Whether the file cannot have changed since the last publication, provided its directory is known."""
        old, status = item.old, item.status
        return (
            old is not None
            and self.settled.trusts(status)
            and stat.S_IFMT(status.st_mode) == stat.S_IFMT(old.mode)
            and self.rules.status_agrees(status, old, links)
        )

    def entry(self, path: bytes, item: Found, links: int) -> Dirent | None:
        """The entry to be, or None after noting why there cannot be one."""
        try:
            return self.rules.entry(item.name, self.source + path or b"/", item.status, links)
        except FormatError as error:
            self.faults.add(path, str(error))
        except OSError as error:
            self.faults.add_os(path, error)
        return None


def without_markers(present: list[Found]) -> tuple[list[Found], frozenset[bytes]]:
    """What a directory holds but for the markers of grafts, and the names of those. `present` is sorted by name."""
    first = bisect_left(present, GRAFT_PREFIX, key=lambda item: item.name)
    end = first
    while end < len(present) and present[end].name.startswith(GRAFT_PREFIX):
        end += 1
    if first == end:
        return present, NO_GRAFTS
    markers = [item for item in present[first:end] if is_marker(item.name, item.status.st_mode)]
    names = {item.name for item in markers}
    left = [item for item in present if item.name not in names]
    return left, frozenset(map(grafted_name, names))


class Siblings:
    """The files in the directory at `path`; `known` is whether it is the directory of the last publication.

    `grafted` are names of files whose contents markers tell.
    """

    def __init__(
        self, path: bytes, comparison: Comparison, *, known: bool, grafted: frozenset[bytes] = NO_GRAFTS
    ) -> None:
        self._path = path
        self._comparison = comparison
        self._known = known
        self._grafted = grafted
        self.linked_elsewhere: list[bytes] = []
        """Files that have further names outside of this directory."""

    def compare(self, files: Iterable[Found], old: Iterable[Dirent]) -> Iterator[Put]:
        """What changed or may have changed among `files`, which are no directories."""
        groups: dict[tuple[int, int], list[Found]] = {}
        for item in files:
            if item.status.st_nlink > 1:
                groups.setdefault((item.status.st_dev, item.status.st_ino), []).append(item)
            else:
                yield from self._single(item)
        if groups:
            sizes = Counter(entry.hardlink_group for entry in old)
            for members in groups.values():
                if members[0].status.st_nlink > len(members):
                    self._note_links(join(self._path, members[0].name))
                yield from self._group(members, sizes) if len(members) > 1 else self._single(members[0])

    def _note_links(self, path: bytes) -> None:
        self.linked_elsewhere.append(path)
        if not self._comparison.rules.separate_links:
            self._comparison.faults.add(
                path,
                "has names in other directories too, which can only be published as files of their own "
                "(CVMFS_IGNORE_XDIR_HARDLINKS=true does so)",
            )

    def _single(self, item: Found) -> Iterator[Put]:
        was_linked = item.old is not None and item.old.hardlink_group != 0
        if was_linked or not self._is_settled(item):
            yield from self._put(item, 1, None, regrouped=was_linked)

    def _group(self, members: list[Found], old_sizes: Counter[int]) -> Iterator[Put]:
        """None of the names changed, or all are put again."""
        old_groups = {item.old.hardlink_group if item.old is not None else 0 for item in members}
        regrouped = len(old_groups) > 1 or 0 in old_groups or old_sizes[next(iter(old_groups))] != len(members)
        if not regrouped and all(self._is_settled(item) for item in members):
            return
        leader = join(self._path, members[0].name)
        for item in members:
            yield from self._put(item, len(members), leader, regrouped=regrouped)

    def _is_settled(self, item: Found) -> bool:
        return self._known and item.name not in self._grafted and self._comparison.is_settled(item, 1)

    def _put(self, item: Found, links: int, group: bytes | None, *, regrouped: bool) -> Iterator[Put]:
        path, old = join(self._path, item.name), item.old
        entry = self._comparison.entry(path, item, links)
        if entry is None:
            return
        if item.name in self._grafted and stat.S_ISREG(item.status.st_mode):
            yield from self._graft(Put(path, entry, old, group=group, regrouped=regrouped))
        elif stat.S_ISREG(item.status.st_mode):
            yield Put(path, entry, old, read=Identity.of(item.status), group=group, regrouped=regrouped)
        elif old is None or regrouped or not same(entry, old):
            yield Put(path, entry, old, group=group, regrouped=regrouped)

    def _graft(self, put: Put) -> Iterator[Put]:
        """The same with the content that the marker tells, if that is news."""
        grafts, old = self._comparison.grafts, put.old
        content = grafts.complete(put.path, put.entry)
        if content is None:
            return
        entry, chunks = content
        known = old is not None and not put.regrouped and same(entry, old)
        if known and (not chunks or chunks == tuple(grafts.chunks(put.path))):
            return
        grafts.note_absent(put.path, entry, chunks)
        yield put._replace(entry=entry, chunks=chunks)
