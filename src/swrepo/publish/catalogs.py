"""The changes of a publication applied to the catalogs, from the leaves to the root.

Changes come in the order of the tree, so the catalogs that can still change are those on the way from the root to the
current directory: a stack. A catalog is opened for writing by its first change, finished when its directory is left,
and then named in the one above it, which thereby changes too. Catalogs that nothing changed in are never written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from swrepo.catalog import schema
from swrepo.catalog.counters import Counters, Statistics
from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.transplant import merge, split
from swrepo.catalog.tree import CatalogTree
from swrepo.catalog.triggers import mark_triggers
from swrepo.catalog.writer import CatalogWriter
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import ROOT, join
from swrepo.format.wellknown import AUTO_MARKER, NESTED_MARKER
from swrepo.publish.balance import Weights, cuts
from swrepo.publish.changes import Change, Kept, Left, Put, Removed
from swrepo.publish.nesting import CatalogPlaces

_GROUP_SHIFT = 32
_NO_REVISION = "0" * 40
"""What a catalog that replaces none has for its predecessor."""

Save = Callable[[Path], ObjectId]
"""Stores a finished catalog and removes its file."""

Tweak = Callable[[bytes, Path], object]
"""Is told where a finished catalog lies, and of which directory it is, before it is stored."""


@dataclass(frozen=True, slots=True)
class Balance:
    """How catalogs are cut that grow too large. `places` knows which of them may be dissolved again."""

    weights: Weights
    places: CatalogPlaces


@dataclass(slots=True)
class _Level:
    """A catalog on the way to the current directory.

    `old` is what the last revision has there, with its name. `file` is where `writer` writes. `in_upper` is what the
    counters of the catalog above still hold for it. `groups` are the numbers of hard link groups of this publication,
    by their first names.
    """

    mountpoint: bytes
    old: CatalogFile | None = None
    old_id: ObjectId | None = None
    writer: CatalogWriter | None = None
    file: Path | None = None
    in_upper: Counters = field(default_factory=Counters)
    groups: dict[bytes, int] = field(default_factory=dict)

    @property
    def mounted(self) -> dict[bytes, NestedRef]:
        """The catalogs directly below this one."""
        refs = self.writer.nested() if self.writer is not None else self.old.nested() if self.old is not None else ()
        return {ref.path: ref for ref in refs}


class CatalogEditor:
    """The catalogs of the next revision, made from those of the last one. For one thread."""

    def __init__(
        self,
        last: CatalogTree,
        root: ObjectId,
        scratch: Path,
        save: Save,
        now: int,
        balance: Balance | None = None,
        tweak: Tweak | None = None,
    ) -> None:
        """`now`: the time in seconds since 1970. `balance`: None leaves large catalogs as they are."""
        self._last = last
        self._balance = balance
        self._scratch = scratch
        self._save = save
        self._tweak = tweak
        self._now = now
        self._count = 0
        self._stack = [_Level(ROOT, last.root, root)]
        self.written = 0
        """Number of catalogs that were written."""
        self.cut_out: list[bytes] = []
        """Directories that got catalogs of their own because those above had grown too large."""
        self.dissolved: list[bytes] = []
        """Directories that had such a catalog, and need it no more."""
        self.sizes: list[tuple[bytes, int]] = []
        """Mountpoints of the catalogs that were written, with their numbers of entries."""
        self._totals: dict[bytes, Counters] = {}  # of the catalogs that were written

    def apply(self, change: Change) -> None:
        """Take the next change."""
        if isinstance(change, Left):
            self._leave()
        elif isinstance(change, Removed):
            self._remove(change.path)
        elif isinstance(change, Kept):
            self._enter(change, nested=change.nested)
        elif change.entry.is_directory:
            self._put(change)
            self._enter(change, nested=change.nested)
        else:
            self._put(change)

    def finish(self, properties: dict[str, str]) -> NestedRef | None:
        """Write the root catalog and return its name and size; None where nothing has changed.

        `properties` has those that only a root catalog has, and the new revision.
        """
        if len(self._stack) != 1:
            raise RuntimeError(f"the directory {self._stack[-1].mountpoint!r} was entered and never left")
        root = self._stack[0]
        if root.writer is None:
            return None
        self._cut_down(root)
        return self._written(root, properties)[0]

    def touch(self) -> None:
        """Have a new root catalog written, even where nothing has changed."""
        self._writer(self._stack[0])

    def discard(self) -> None:
        """Give up."""
        for level in self._stack:
            if level.writer is not None:
                level.writer.discard()

    def _put(self, put: Put) -> None:
        level = self._stack[-1]
        writer, entry = self._writer(level), put.entry
        if put.group is not None:
            if put.group not in level.groups:
                level.groups[put.group] = writer.next_hardlink_group()
            entry = entry._replace(hardlinks=level.groups[put.group] << _GROUP_SHIFT | entry.linkcount)
        if put.old is None and put.path != ROOT:
            writer.add(put.path, entry, put.chunks)
        else:
            writer.replace(put.path, entry, put.chunks)

    def _remove(self, path: bytes) -> None:
        writer = self._writer(self._stack[-1])
        for ref in writer.remove(path):
            writer.subtree -= self._total(ref.path)

    def _total(self, mountpoint: bytes) -> Counters:
        """What the catalog at `mountpoint` and those below it hold, as it is by now."""
        return self._totals.get(mountpoint) or self._last.find(mountpoint).counters().total

    def _enter(self, change: Put | Kept, *, nested: bool) -> None:
        """A directory begins: keep, make or dissolve the catalog that starts there."""
        path, upper = change.path, self._stack[-1]
        if path == ROOT:
            return
        ref = upper.mounted.get(path) if self._is_mountpoint(change) else None
        if nested and ref is not None:
            level = self._kept(ref)
            if isinstance(change, Put):  # the mountpoint's row is in both catalogs
                self._writer(level).replace(path, change.entry)
            self._stack.append(level)
        elif nested:
            self._stack.append(self._made(path, upper, is_new=isinstance(change, Put) and change.old is None))
        elif ref is not None:
            self._dissolve(ref, upper)

    def _is_mountpoint(self, change: Put | Kept) -> bool:
        old = change.old
        return old is not None and (old.is_nested_mountpoint or old.is_bind_mountpoint)

    def _kept(self, ref: NestedRef) -> _Level:
        old = self._last.find(ref.path)
        return _Level(ref.path, old, ref.id, in_upper=old.counters().total)

    def _made(self, path: bytes, upper: _Level, *, is_new: bool) -> _Level:
        """A directory gets a catalog of its own."""
        writer, file = self._writer(upper), self._file()
        if is_new:
            root = writer.lookup(path)
            assert root is not None  # noqa: S101 - it was put just now
            return _Level(path, writer=CatalogWriter.create(file, root, path), file=file)
        lower = split(writer, path, file)
        # What is mounted below moved along: it stays in the counters above until the new catalog is finished.
        lower.subtree = sum((self._total(ref.path) for ref in lower.nested()), Counters())
        return _Level(path, writer=lower, file=file, in_upper=lower.subtree)

    def _dissolve(self, ref: NestedRef, upper: _Level) -> None:
        """A directory loses its catalog: its rows go to the one above."""
        lower, writer = self._last.find(ref.path), self._writer(upper)
        merge(writer, lower)
        writer.subtree -= lower.counters().own

    def _leave(self) -> None:
        level = self._stack.pop()
        if level.old is not None:
            self._last.forget(level.mountpoint)  # so that few files are open at a time
        if level.writer is None:
            return
        upper = self._stack[-1]
        if self._is_superfluous(level, level.writer, upper):
            self._merge_into(upper, level, level.writer)
            return
        self._cut_down(level)
        self._mount(level, upper, 1 if level.old is None else level.old.revision + 1)

    def _mount(self, level: _Level, upper: _Level, revision: int) -> None:
        """Finish a catalog and name it in the one above."""
        ref, statistics = self._written(level, {schema.KEY_REVISION: str(revision)})
        writer = self._writer(upper)
        writer.set_nested(ref)
        writer.subtree += statistics.total - level.in_upper

    def _cut_down(self, level: _Level) -> None:
        """Give directories of a catalog that has grown too large catalogs of their own."""
        if self._balance is None:
            return
        writer = self._writer(level)
        for path in cuts(writer, self._balance.weights):
            directory = writer.lookup(path)
            assert directory is not None  # noqa: S101 - it was found there
            for name in (NESTED_MARKER, AUTO_MARKER):
                writer.put(join(path, name), self._balance.places.marker(name, directory))
            self._mount(self._made(path, level, is_new=False), level, 1)
            self.cut_out.append(path)

    def _is_superfluous(self, level: _Level, writer: CatalogWriter, upper: _Level) -> bool:
        """Whether a catalog that was cut out once is small by now, and finds room in the one above."""
        balance = self._balance
        if balance is None or level.old is None or level.mountpoint not in balance.places.own:
            return False
        entries = writer.entries
        return entries < balance.weights.least and entries + self._writer(upper).entries <= balance.weights.aim

    def _merge_into(self, upper: _Level, level: _Level, writer: CatalogWriter) -> None:
        assert level.file is not None  # noqa: S101 - it comes with the writer
        path, target, subtree = level.mountpoint, self._writer(upper), writer.subtree
        writer.finish({})
        lower = CatalogFile.open(level.file, path)
        try:
            merge(target, lower)
        finally:
            lower.close()
        level.file.unlink()
        target.subtree += subtree - level.in_upper
        for name in (NESTED_MARKER, AUTO_MARKER):
            target.remove(join(path, name))
        self.dissolved.append(path)

    def _written(self, level: _Level, properties: dict[str, str]) -> tuple[NestedRef, Statistics]:
        writer, file = level.writer, level.file
        assert writer is not None  # noqa: S101 - asked before
        assert file is not None  # noqa: S101 - they come together
        mark_triggers(writer)
        statistics = Statistics(writer.own, writer.subtree)
        size = writer.finish(
            {
                schema.KEY_LAST_MODIFIED: str(self._now),
                schema.KEY_PREVIOUS_REVISION: level.old_id.text if level.old_id is not None else _NO_REVISION,
                **properties,
            },
            statistics.own,
        )
        self.written += 1
        self._totals[level.mountpoint] = statistics.total
        self.sizes.append((level.mountpoint, statistics.own.entries))
        if self._tweak is not None:
            self._tweak(level.mountpoint, file)
            size = file.stat().st_size
        return NestedRef(level.mountpoint, self._save(file), size), statistics

    def _writer(self, level: _Level) -> CatalogWriter:
        if level.writer is None:
            assert level.old is not None  # noqa: S101 - a level has an old catalog or a writer
            level.file = self._file()
            level.writer = CatalogWriter.edit(level.old, level.file)
        return level.writer

    def _file(self) -> Path:
        self._count += 1
        return self._scratch / f"catalog-{self._count}"
