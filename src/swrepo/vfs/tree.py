"""The mounted tree in plain Python: look up, list, read links, attributes and contents, by node number.

One repository is the root, or many lie below a synthetic root, where each appears at its first look-up. Nothing here
fetches: what would have to be fetched raises `NotHere`, whose `fetch` is run elsewhere before the same is asked again.

Directories always show the current revision. A file's number stays with the bytes that it was given out for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from swrepo.catalog.reader import CatalogFile
from swrepo.errors import NotASymlink, PathNotFound, SwrepoError
from swrepo.format import xattr
from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.variant import expand
from swrepo.repository.content import Content
from swrepo.repository.revision import Revision
from swrepo.repository.status import Status, status
from swrepo.system.shared_memory import SharedMemory
from swrepo.vfs import listings
from swrepo.vfs.entries import Entries, StaleNode, catalog_behind, volume_of
from swrepo.vfs.foreseen import NAME_MAX, Foreseen
from swrepo.vfs.journal import Journal, Stale, Told
from swrepo.vfs.listings import ROOT_NODE, Listed, NotHere, catalog_of, root_entry
from swrepo.vfs.many import ManyRepositories, Repositories
from swrepo.vfs.nodes import Frozen, NodeTable, Span
from swrepo.vfs.resume import OpenVolume, restore, shown, span_record
from swrepo.vfs.usage import Usage, Usages
from swrepo.vfs.volume import Volume

__all__ = ["NAME_MAX", "ROOT_NODE", "Described", "Listed", "NameTooLong", "NotHere", "StaleNode", "Usage", "Vfs"]


class Described(NamedTuple):
    """A node: its repository and entry, and what is read when it is called.

    `catalog`: that which holds it, or, of a directory, what is in it (NotHere). `path`: from the repository's root.
    """

    volume: Volume
    entry: Dirent
    chunks: Callable[[], tuple[Chunk, ...]]
    catalog: Callable[[], CatalogFile]
    path: Callable[[], bytes]


class Vfs:
    """See the module. Every method wants `lock` to be held, which makes each see one revision from start to end.

    `on_new_volume` is called, without the lock, when the synthetic root has got another entry.
    """

    def __init__(self, *, started: int = 0, counts: SharedMemory | None = None, journal: Journal | None = None) -> None:
        """An empty tree; `mount_root` or `mount_many` gives it something to show. `started`: time of synthetic dirs.

        `counts` and `journal` are where a successor finds what the kernel knows.
        """
        self.lock = threading.RLock()
        self.nodes = NodeTable(ROOT_NODE + 1, counts)
        self._journal = journal
        self.unsaid = Stale()
        self.volumes: dict[str, Volume] = {}
        self.fixed = Span(ROOT_NODE, 1, None, None)
        self._many: ManyRepositories | None = None
        self._started = started
        self.on_new_volume: Callable[[], object] = lambda: None
        self._entries = Entries(self.nodes, self.fixed)
        self.foreseen = Foreseen(self._entries, self.nodes)
        self._usages = Usages()

    # What is mounted

    @property
    def is_synthetic(self) -> bool:
        """Whether the root is ours, with repositories below it."""
        return self._many is not None

    def mount_root(self, revision: Revision, variables: Mapping[str, str]) -> Volume:
        """Show one repository as the whole tree."""
        volume = self._add("", revision, variables)
        root = root_entry(revision)
        span = volume.span(revision.tree.root)
        span.alias[root.rowid] = ROOT_NODE
        self.fixed.moved[0] = (span, root.rowid)
        self.record()
        return volume

    def mount_many(self, repositories: Repositories, names: Callable[[], Sequence[str]] = tuple) -> None:
        """Show repositories below a synthetic root, each at its first look-up; `names` are listed before it."""
        self._many = ManyRepositories(repositories, self.volumes, self._started, names)

    def look_for_names(self) -> bool:
        """Whether the list of repositories that are listed anyway has changed; without the lock, it may read files."""
        return self._many is not None and self._many.look_for_names()

    def rest(self, volume: Volume) -> None:
        """Let go of the memory that a repository takes; it comes back with the next request."""
        self._entries.let_go(volume)
        self.foreseen.clear()
        volume.rest()

    def _add(self, name: str, revision: Revision, variables: Mapping[str, str]) -> Volume:
        volume = Volume(name, revision, variables, self.nodes)
        volume.on_span = self._note_span
        self.volumes[name] = volume
        return volume

    # What a successor has to know

    def resume(self, open_volume: OpenVolume) -> None:
        """Show what the process before this one showed; see `unsaid` for what the kernel is to be told of it."""
        assert self._journal is not None  # noqa: S101 - who resumes has got one
        before, later = self._journal.read()
        for volume in restore(before, later, self.nodes, self.fixed, open_volume):
            volume.on_span = self._note_span
            self.volumes[volume.name] = volume
        self.unsaid = before.unsaid
        self.record(self.unsaid)

    def record(self, unsaid: Stale | None = None) -> None:
        """Leave word of what is shown now, and of what the kernel is yet to be told."""
        if self._journal is not None:
            self._journal.write(shown(self.volumes, self.nodes, self.fixed, unsaid or Stale()))

    def was_told(self) -> None:
        """The kernel knows all that it had to be told."""
        if self._journal is not None:
            self._journal.add(Told())

    def _note_span(self, volume: Volume, span: Span) -> None:
        if self._journal is not None:
            self._journal.add(span_record(volume, span))

    # Entries

    def lookup(self, parent: int, name: bytes) -> tuple[int, Status]:
        """Number and status of an entry of a directory; PathNotFound, NotADirectory, NameTooLong."""
        if len(name) > NAME_MAX:
            raise NameTooLong(f"a name of {len(name)} bytes; {NAME_MAX} are the most")
        if parent == ROOT_NODE and self._many is not None:
            return self._lookup_volume(self._many, name.decode("ascii", "replace"))
        place = self._entries.place(parent)
        if isinstance(place, Frozen):
            raise PathNotFound(f"the directory that held {name!r} was removed from the repository")
        span, row = place
        volume = volume_of(span)
        volume.is_used = True
        directory = volume.path(span, row)
        catalog = catalog_of(volume.revision, directory)
        path = directory + b"/" + name
        entry = catalog.lookup(path)
        if entry is None:
            raise PathNotFound(f"no such file or directory: {path!r}")
        number = volume.number(catalog, entry)
        if entry.flags & 1:
            volume.note_path(volume.span(catalog).base + entry.rowid, path)
        else:
            self._entries.note(number, entry)
        return number, status(entry, volume.variables)

    def status(self, number: int) -> Status:
        """Attributes of a node."""
        if number == ROOT_NODE and self._many is not None:
            return self._many.status()
        entry, variables = self._entries.entry(number)
        return status(entry, variables)

    def listing(self, number: int, cookie: int, limit: int) -> list[Listed]:
        """Up to `limit` entries of a directory after `cookie` (0: from the start), `.` and `..` first."""
        if number == ROOT_NODE and self._many is not None:
            return self._many.listing(cookie)
        place = self._entries.place(number)
        if isinstance(place, Frozen):
            return []
        span, row = place
        volume = volume_of(span)
        volume.is_used = True
        return listings.listing(volume, number, volume.path(span, row), cookie, limit)

    def readlink(self, number: int) -> bytes:
        """The target of a symlink, variables filled in; NotASymlink."""
        entry, variables = self._entries.entry(number)
        if not entry.is_symlink:
            raise NotASymlink(f"{entry.name!r} is not a symbolic link")
        return expand(entry.symlink, variables)

    def xattrs(self, number: int) -> dict[bytes, bytes]:
        """The published extended attributes of a node."""
        if number == ROOT_NODE and self.is_synthetic:
            return {}
        return xattr.decode(self._entries.entry(number)[0].xattr_blob)

    def described(self, number: int) -> Described | None:
        """All that there is to know of a node; None of the synthetic root."""
        if number == ROOT_NODE and self.is_synthetic:
            return None
        place = self._entries.place(number)
        if isinstance(place, Frozen):
            volume, gone = volume_of(self.nodes.span(number)), place
            root = volume.revision.tree.root
            return Described(volume, gone.entry, lambda: gone.chunks, lambda: root, lambda: gone.entry.name)
        span, row = place
        volume, catalog = volume_of(span), catalog_behind(span)
        found = catalog.by_rowid(row)
        if found is None:
            raise StaleNode(f"row {row} is not in its catalog")
        entry, key, _ = found

        def path() -> bytes:
            return volume.path(span, row)

        def holder() -> CatalogFile:
            return catalog_of(volume.revision, path()) if entry.is_directory else catalog

        return Described(volume, entry, lambda: catalog.chunks(key), holder, path)

    @property
    def opened(self) -> int:
        """Files that were opened so far."""
        return self._entries.opened

    def content(self, number: int) -> Content:
        """A regular file, open for reading; IsADirectory."""
        return self._entries.content(number)

    def prepare(self, number: int) -> None:
        """Have a small file that is here ready for who reads it next; raises what `content` does."""
        self._entries.prepare(number)

    def close_contents(self) -> None:
        """Let go of the files that are open here, so that the next read of each counts as an opening."""
        self._entries.close_all()

    def forget(self, number: int, times: int) -> None:
        """The kernel forgot `times` of the times that it was told a number."""
        if self.nodes.forget(number, times):
            self._entries.forget(number)

    def path(self, number: int) -> bytes:
        """Where a node is in the mounted tree; of one that is not in this revision any more, its name."""
        if number == ROOT_NODE and self.is_synthetic:
            return b"/"
        place = self._entries.place(number)
        if isinstance(place, Frozen):
            return place.entry.name
        volume = volume_of(place[0])
        return (b"/" + volume.name.encode() if volume.name else b"") + volume.path(*place) or b"/"

    def whereabouts(self, number: int) -> tuple[Volume, bytes, int] | None:
        """Repository, directory and row of an entry of the current revision; None for anything else."""
        place = self._entries.place(number)
        if isinstance(place, Frozen) or place[0].catalog is None:
            return None
        span, row = place
        found = place[0].catalog.by_rowid(row)
        above = None if found is None else place[0].catalog.lookup_key(found[2])
        return None if above is None else (volume_of(span), volume_of(span).path(span, above.rowid), row)

    def usage(self) -> Usage:
        """Sums over the repositories that are shown."""
        return self._usages.of(self.volumes.values())

    def drop_recent(self) -> None:
        """Let go of what was remembered of rows that have other numbers now."""
        self._entries.drop_recent()

    def note(self, number: int, entry: Dirent) -> None:
        """Remember an entry that somebody is likely to ask for next."""
        self._entries.note(number, entry)

    # Below a synthetic root

    def _lookup_volume(self, many: ManyRepositories, name: str) -> tuple[int, Status]:
        found = many.lookup(name)
        if found is None:
            raise NotHere(lambda: self._open_volume(many, name))
        return found

    def _open_volume(self, many: ManyRepositories, name: str) -> None:
        """Runs where blocking is allowed, without the lock."""
        revision, variables = many.repositories.open(name)
        with self.lock:
            is_new = name not in self.volumes
            if is_new:
                self._add(name, revision, variables)
                self.record()
        if is_new:
            self.on_new_volume()


class NameTooLong(SwrepoError):
    """No file system has such names."""

    errno = 36  # ENAMETOOLONG
