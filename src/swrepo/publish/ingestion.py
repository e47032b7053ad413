"""What `ingest` does: paths deleted, then a tar archive laid over the last revision below a directory."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field

from swrepo.errors import NotFound
from swrepo.format.dirent import Dirent, Flag, content_flags
from swrepo.format.object_id import Kind
from swrepo.format.paths import ROOT, join
from swrepo.format.wellknown import NESTED_MARKER
from swrepo.publish.gathering import Workplace
from swrepo.publish.tar_stream import Read, TarStream
from swrepo.publish.unpacking import unpacked

_MARKER_MODE = stat.S_IFREG | 0o644


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
        gatherer.take(self.base, archive)
        self.has_more = archive.has_more
        if self.catalog and self.base != ROOT:
            _mark(workplace, self.base)


def _mark(workplace: Workplace, base: bytes) -> None:
    """Have a marker in the directory, unless there is one."""
    path, tree = join(base, NESTED_MARKER), workplace.gatherer.tree
    if tree.find(path) is not None or (workplace.revision.find(path) is not None and tree.find(base) is not None):
        return
    warehouse, rules = workplace.warehouse, workplace.gatherer.rules
    seconds, nanoseconds = divmod(workplace.now_ns, 1_000_000_000)
    uid, gid = workplace.gatherer.owner or (0, 0)
    tree.put(
        path,
        Dirent(
            name=NESTED_MARKER,
            mode=_MARKER_MODE,
            size=0,
            mtime=seconds,
            mtime_ns=nanoseconds if rules.mtime_ns else None,
            uid=uid,
            gid=gid,
            flags=int(Flag.FILE) | content_flags(rules.algorithm, rules.compression),
            hardlinks=1,
            symlink=b"",
            digest=warehouse.put(warehouse.encoder, b"", Kind.FILE),
            xattr_blob=None,
        ),
    )
