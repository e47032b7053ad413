"""The rules of `.cvmfsdirtab` that hold once an archive is laid over the last revision: its own, if it brings some."""

from __future__ import annotations

from dataclasses import dataclass

from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.paths import ROOT, join, parent
from swrepo.format.wellknown import DIRTAB
from swrepo.publish.dirtab import Dirtab
from swrepo.publish.faults import Faults
from swrepo.publish.last_revision import LastRevision
from swrepo.publish.layered_tree import LayeredTree, Role
from swrepo.publish.nesting import rules_of
from swrepo.publish.opening import OpenRepository
from swrepo.repository.content import Content

_PLACE = join(ROOT, DIRTAB)


@dataclass(frozen=True, slots=True)
class RulesOfArchives:
    """For one pass, once all archives are gathered in `tree`."""

    repository: OpenRepository
    tree: LayeredTree
    last: LastRevision
    faults: Faults

    def apply(self) -> Dirtab:
        """The rules. Where they are new, directories of the last revision that they name are looked at, too."""
        node = self.tree.find(_PLACE)
        if node is None:
            old = self.last.lookup(_PLACE)
            chunks = self.last.chunks(_PLACE) if old is not None and old.is_chunked else ()
            return rules_of(self._text(old, chunks), self.faults)
        self.repository.storage.store.flush()  # it came just now
        rules = rules_of(self._text(node.entry, node.chunks), self.faults)
        for path in list(rules.candidates(self.last.listing)):
            if self._still_shows(path):
                self.tree.imply(path)
        return rules

    def _text(self, entry: Dirent | None, chunks: tuple[Chunk, ...]) -> bytes | None:
        if entry is None or not entry.is_regular:
            return None
        with Content(entry, chunks, self.repository.objects) as content:
            return content.pread(0, content.size)

    def _still_shows(self, path: bytes) -> bool:
        """Whether a directory of the last revision is in the next one, too."""
        at = path
        while True:
            node = self.tree.find(at)
            if node is not None and (not node.may_hold or node.role is Role.GONE or (node.opaque and at != path)):
                return False
            if at == ROOT:
                return True
            at = parent(at)
