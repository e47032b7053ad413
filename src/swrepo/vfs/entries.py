"""From node numbers to catalog entries and contents: of this revision, or of an earlier one that is still in use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from swrepo.catalog.reader import CatalogFile
from swrepo.errors import IsADirectory, SwrepoError
from swrepo.format.dirent import Dirent
from swrepo.repository.content import Content
from swrepo.vfs.listings import ROOT_NODE
from swrepo.vfs.nodes import Frozen, NodeTable, Span
from swrepo.vfs.rows import RowsInOrder
from swrepo.vfs.volume import Volume

_OPEN_CONTENTS = 256
_RECENT_ENTRIES = 4096
_PREPARED = 8
_LARGEST_PREPARED = 128 << 10
"""Bytes: what the kernel asks for at once, unless it was told otherwise."""


class Entries:
    """For one thread at a time (the lock of `Vfs`). `top`: where the mount's root stands, which is in no span."""

    def __init__(self, nodes: NodeTable, top: Span) -> None:
        self._nodes = nodes
        self._top = top
        self._contents: OrderedDict[int, Content] = OrderedDict()
        self._prepared: OrderedDict[int, Content] = OrderedDict()
        self._recent: OrderedDict[int, Dirent] = OrderedDict()
        self._rows = RowsInOrder()
        self.opened = 0
        """Files that were opened so far."""
        self.changes = 0
        """How often rows have got other numbers."""

    @property
    def has_top(self) -> bool:
        """Whether the root of the mount is that of a repository."""
        return bool(self._top.moved)

    def place(self, number: int) -> tuple[Span, int] | Frozen:
        """Where a number stands now. StaleNode for one that was never given out, or was forgotten."""
        if number == ROOT_NODE:
            return self._top.moved[0]
        span = self._nodes.span(number)
        if span is not None:
            row = number - span.base
            if span.catalog is not None:
                return span, row
            if (moved := span.moved.get(row)) is not None:
                return moved
            if (frozen := span.frozen.get(row)) is not None:
                return frozen
        raise StaleNode(f"node {number} is not known any more")

    def entry(self, number: int) -> tuple[Dirent, Mapping[str, str]]:
        """The entry behind a number, and what its repository's symlinks see."""
        place = self.place(number)
        if isinstance(place, Frozen):
            span = self._nodes.span(number)
            return place.entry, volume_of(span).variables if span is not None else {}
        span, row = place
        recent, volume = self._recent.get(number), volume_of(span)
        volume.is_used = True
        return (recent or _row(span, row)), volume.variables

    def content(self, number: int) -> Content:
        """A regular file, open for reading; IsADirectory."""
        contents = self._contents
        found = contents.get(number)
        if found is not None:
            contents.move_to_end(number)
            return found
        found = self._prepared.pop(number, None) or self._open(number)
        self.opened += 1
        contents[number] = found
        if len(contents) > _OPEN_CONTENTS:
            contents.popitem(last=False)[1].close()
        return found

    def prepare(self, number: int) -> None:
        """Have a small file that is here ready for who reads it next, which counts as opening it then."""
        if number in self._contents or number in self._prepared:
            return
        self._prepared[number] = found = self._open(number)
        found.hold(_LARGEST_PREPARED)
        if len(self._prepared) > _PREPARED:
            self._prepared.popitem(last=False)  # it has no file open

    def note(self, number: int, entry: Dirent) -> None:
        """Remember an entry that somebody is likely to ask for next."""
        self._recent[number] = entry
        if len(self._recent) > _RECENT_ENTRIES:
            self._recent.popitem(last=False)

    def forget(self, number: int) -> None:
        """The number may come to stand for another file."""
        self._recent.pop(number, None)
        self._prepared.pop(number, None)
        content = self._contents.pop(number, None)
        if content is not None:
            content.close()

    def close_all(self) -> None:
        """Close the files of all repositories; who reads on opens them again."""
        self._prepared.clear()
        while self._contents:
            self._contents.popitem()[1].close()

    def let_go(self, volume: Volume) -> None:
        """Close the files of a repository; who reads on opens them again."""
        self.drop_recent()
        for number in [number for number in self._contents if self._is_in(number, volume)]:
            self._contents.pop(number).close()

    def _is_in(self, number: int, volume: Volume) -> bool:
        span = self._nodes.span(number)
        return span is None or span.owner is volume

    def drop_recent(self) -> None:
        """Let go of what was remembered of rows that have other numbers now."""
        self.changes += 1
        self._recent.clear()
        self._prepared.clear()

    def _open(self, number: int) -> Content:
        place = self.place(number)
        if isinstance(place, Frozen):
            volume = volume_of(self._nodes.span(number))
            return Content(place.entry, place.chunks, volume.revision.objects)
        span, row = place
        catalog, volume = catalog_behind(span), volume_of(span)
        volume.is_used = True
        objects = volume.revision.objects
        entry = self._recent.get(number) or self._rows.following(span, row, number, self.note)
        if entry is None or entry.is_chunked:
            found = catalog.by_rowid(row)
            if found is None:
                raise StaleNode(f"row {row} is not in its catalog")
            entry, key, _ = found
            if entry.is_chunked:
                return Content(entry, catalog.chunks(key), objects, _path_of_external(span, row, entry))
        if entry.is_directory:
            raise IsADirectory(f"{entry.name!r} is a directory")
        return Content(entry, (), objects, _path_of_external(span, row, entry))


class StaleNode(SwrepoError):
    """The kernel asks about a number that we do not know (any more)."""

    errno = 116  # ESTALE: the kernel looks the path up again


def volume_of(span: Span | None) -> Volume:
    """The repository that a number belongs to."""
    assert span is not None  # noqa: S101 - every number that was given out has a span
    assert isinstance(span.owner, Volume)  # noqa: S101 - and every span but the root's belongs to a volume
    return span.owner


def _path_of_external(span: Span, row: int, entry: Dirent) -> bytes | None:
    return volume_of(span).path(span, row) if entry.is_external else None


def catalog_behind(span: Span) -> CatalogFile:
    """The catalog of a span of the current revision."""
    assert span.catalog is not None  # noqa: S101 - `place` gives current spans only
    return span.catalog


def _row(span: Span, row: int) -> Dirent:
    found = catalog_behind(span).by_rowid(row)
    if found is None:
        raise StaleNode(f"row {row} is not in its catalog")
    return found[0]
