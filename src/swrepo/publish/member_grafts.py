"""Grafted files in an archive: its members `.cvmfsgraft-NAME` say of which content the file NAME beside them is.

The file may come before or after its marker, or be in the last revision; markers are not published themselves.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field

from swrepo.format import graft
from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.graft import Graft
from swrepo.format.paths import basename, join, parent
from swrepo.publish.grafts import LARGEST_MARKER, Grafts, grafted_name, is_marker
from swrepo.publish.last_revision import LastRevision
from swrepo.publish.layered_tree import LayeredTree, Role
from swrepo.publish.member import Member

_CHUNKS = tuple[Chunk, ...]


@dataclass(slots=True)
class MemberGrafts:
    """The markers of archives that are laid into `tree`, by the paths of the repository. For one thread."""

    tree: LayeredTree
    last: LastRevision
    grafts: Grafts
    _waiting: dict[bytes, Graft] = field(default_factory=dict)

    def take(self, path: bytes, member: Member) -> bool:
        """Whether a member is a marker; then it is read. FormatError where it has no meaning."""
        if member.is_link or not is_marker(basename(path), member.mode):
            return False
        found = graft.parse(member.content.read_fully(LARGEST_MARKER))
        file = join(parent(path), grafted_name(basename(path)))
        node = self.tree.find(file)
        if node is not None and node.entry is not None and stat.S_ISREG(node.entry.mode):
            self.tree.put(file, *self._grafted(file, node.entry, found))
        else:
            self._waiting[file] = found
        return True

    def of(self, path: bytes, entry: Dirent, chunks: _CHUNKS) -> tuple[Dirent, _CHUNKS]:
        """What a file becomes: itself, unless a marker came before it."""
        if not self._waiting or not stat.S_ISREG(entry.mode):
            return entry, chunks
        found = self._waiting.pop(path, None)
        return (entry, chunks) if found is None else self._grafted(path, entry, found)

    def finish(self) -> None:
        """Markers without a file in the archive are about one of the last revision; or they are faults."""
        for path, found in self._waiting.items():
            old = self.last.lookup(path) if self._is_left_alone(path) else None
            if old is None or not stat.S_ISREG(old.mode):
                self.grafts.check(parent(path), [basename(path)], ())
            else:
                self.tree.put(path, *self._grafted(path, old._replace(hardlinks=1, rowid=0), found))
        self._waiting.clear()

    def _grafted(self, path: bytes, entry: Dirent, found: Graft) -> tuple[Dirent, _CHUNKS]:
        grafted, chunks = self.grafts.applied(entry, found)
        self.grafts.note_absent(path, grafted, chunks)
        return grafted, chunks

    def _is_left_alone(self, path: bytes) -> bool:
        """Whether what the last revision has there still shows."""
        node = self.tree.find(path)
        while node is None and path:
            path = parent(path)
            node = self.tree.find(path)
        return node is None or (node.role in (Role.WAY, Role.IMPLIED, Role.ENTRY) and node.may_hold and not node.opaque)
