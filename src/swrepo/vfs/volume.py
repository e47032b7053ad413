"""One repository in the mounted tree: its revision at the moment, the spans of its catalogs, its open contents."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from swrepo.catalog.reader import CatalogFile
from swrepo.errors import FormatError
from swrepo.format.dirent import Dirent
from swrepo.format.paths import PathKey, path_key
from swrepo.repository.revision import Revision
from swrepo.vfs.nodes import NodeTable, Span
from swrepo.vfs.past import Past

_PATHS = 16384
_MAX_ROW = 1 << 28
"""A thousand times the largest catalog that was ever seen; each row takes four bytes of memory here."""


class Volume:
    """For one thread at a time (the lock of `Vfs`). `name` is empty where the repository is the whole mount.

    `on_span` is called with each span that is given out to a catalog of the current revision. `is_used`: somebody asked
    about it since `vfs.idle` looked last.
    """

    def __init__(self, name: str, revision: Revision, variables: Mapping[str, str], nodes: NodeTable) -> None:
        self.name = name
        self.variables = variables
        self.revision = revision
        self.epoch = 0
        self.previous: Revision | None = None
        self.is_used = True
        self._rested: Revision | None = None
        self.past = Past()
        self.on_span: Callable[[Volume, Span], object] = lambda _volume, _span: None
        self._nodes = nodes
        self._spans: dict[bytes, Span] = {}
        self._since: dict[bytes, int] = {}
        self._paths: OrderedDict[int, bytes] = OrderedDict()

    def span(self, catalog: CatalogFile) -> Span:
        """The numbers of a catalog of the current revision, given out when it is first used."""
        found = self._spans.get(catalog.mountpoint)
        if found is None or found.catalog is not catalog:
            if catalog.max_rowid > _MAX_ROW:
                raise FormatError(
                    f"a catalog of {self.name or 'the repository'} numbers its rows up to an absurd height"
                )
            found = self._nodes.allocate(catalog.max_rowid + 1, self, catalog)
            self._spans[catalog.mountpoint] = found
            self.on_span(self, found)
        return found

    def adopt(self, span: Span) -> None:
        """Take a span of a catalog of the current revision that another process gave out."""
        assert span.catalog is not None  # noqa: S101 - that is what makes it one of the current revision
        self._spans[span.catalog.mountpoint] = span

    def number(self, catalog: CatalogFile, entry: Dirent) -> int:
        """The number of an entry; names of one file share that of the first."""
        row = entry.rowid
        if row < 1:
            raise FormatError(f"the entry {entry.name!r} has row number {row}; the catalog is damaged")
        if entry.hardlinks >> 32 and not entry.flags & 1:
            row = catalog.hardlink_leader(entry.hardlink_group) or row
        return self.span(catalog).number(row)

    def path(self, span: Span, row: int) -> bytes:
        """The path of a directory, by its row in a catalog of the current revision."""
        number = span.base + row
        paths = self._paths
        found = paths.get(number)
        if found is None:
            found = _climb(span.catalog, row) if span.catalog is not None else b""
            self.note_path(number, found)
        return found

    def note_path(self, number: int, path: bytes) -> None:
        """Remember where a directory is: its number counted in the span of the current catalog."""
        self._paths[number] = path
        if len(self._paths) > _PATHS:
            self._paths.popitem(last=False)

    def since(self, catalog: CatalogFile) -> int:
        """The first epoch of which it is known that this catalog of the current revision was its catalog too."""
        return self._since.setdefault(catalog.mountpoint, self.epoch)

    def exchange(self, revision: Revision, spans: dict[bytes, Span]) -> None:
        """Show another revision; `spans` are those that were prepared for it."""
        self.past.note(self.epoch, self.revision.root)
        self.previous, self.revision = self.revision, revision
        self.epoch += 1
        self._since = {
            place: since
            for place, since in self._since.items()
            if place in spans and spans[place] is self._spans.get(place)
        }
        self._spans = spans
        self._paths.clear()

    @property
    def rests(self) -> bool:
        """Whether nothing was used since `rest`."""
        return self._rested is self.revision and not self.is_used

    def rest(self) -> None:
        """Let go of what can be had again from the disk: connections to catalogs, what was remembered of them."""
        self._rested = self.revision
        self._paths.clear()
        self.past.close()
        self.previous = None  # it closes when nobody uses it; listings that began in it go on by `past`
        self.revision.tree.rest()

    def spans(self) -> dict[bytes, Span]:
        """The spans of the current revision by mountpoint."""
        return dict(self._spans)


def _climb(catalog: CatalogFile, row: int) -> bytes:
    """The path of a row, from its name and those of the directories above it."""
    top = path_key(catalog.root_prefix)
    names: list[bytes] = []
    found = catalog.by_rowid(row)
    seen: set[PathKey] = set()
    while found is not None:
        entry, own, above = found
        if own == top or own in seen:
            break
        seen.add(own)
        names.append(entry.name)
        upper = catalog.lookup_key(above)
        found = catalog.by_rowid(upper.rowid) if upper is not None else None
    return b"".join([catalog.mountpoint, *(b"/" + name for name in reversed(names))])
