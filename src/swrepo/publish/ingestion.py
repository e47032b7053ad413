"""What `ingest` does: paths deleted, then a tar archive laid over the last revision below a directory."""

from __future__ import annotations

from dataclasses import dataclass, field

from swrepo.errors import NotFound
from swrepo.format.paths import ROOT, join
from swrepo.format.wellknown import NESTED_MARKER
from swrepo.publish.archive import Below
from swrepo.publish.gathering import Workplace
from swrepo.publish.layered_tree import LayeredTree, Role
from swrepo.publish.member import Read
from swrepo.publish.tar_stream import TarStream
from swrepo.publish.unpacking import unpacked

_MOST_CLAIMS = 1000


@dataclass(slots=True)
class Ingestion:
    """One use of `ingest`; call it with the workplace. `read` gives the archive; None only deletes."""

    read: Read | None
    base: bytes = ROOT
    deletes: tuple[bytes, ...] = ()
    catalog: bool = False
    """The directory `base` starts a catalog of its own."""
    missing: list[bytes] = field(default_factory=list, init=False)
    """Paths to delete that were not there."""
    has_more: bool = field(default=False, init=False)
    """Whether something follows the archive's end."""

    def __call__(self, workplace: Workplace) -> None:
        gatherer = workplace.gatherer
        for path in self.deletes:
            if workplace.revision.find(path) is None:
                self.missing.append(path)
            else:
                gatherer.tree.remove(path)
        gatherer.tree.layer = 1
        if self.read is None:
            if self.missing and len(self.missing) == len(self.deletes):
                shown = ", ".join(path.decode("utf-8", "backslashreplace") for path in self.missing)
                raise NotFound(f"nothing to delete: there is no {shown} in the last revision")
            return
        plain = unpacked(self.read)
        archive = TarStream(plain.read, plain.is_sealed)
        gatherer.take(Below(gatherer.tree, self.base), archive)
        self.has_more = archive.has_more
        if self.catalog and self.base != ROOT:
            mark(workplace, self.base)
        workplace.claims.update(self._claims(gatherer.tree))

    def _claims(self, tree: LayeredTree) -> set[bytes]:
        """What the archive has directly below the directory, which itself may be others' too."""
        brought = tree.children(self.base)
        if self.base != ROOT and len(brought) > _MOST_CLAIMS:
            return {self.base}
        return {join(self.base, node.name) for node in brought if node.role in (Role.ENTRY, Role.IMPLIED)}


def mark(workplace: Workplace, base: bytes) -> None:
    """Have a marker in the directory, unless there is one."""
    path, tree = join(base, NESTED_MARKER), workplace.gatherer.tree
    shows = tree.find(base)
    if tree.find(path) is None and (workplace.revision.find(path) is None or (shows is not None and shows.opaque)):
        workplace.write(path, b"")
