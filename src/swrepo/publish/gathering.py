"""One pass over what archives bring: contents stored, and what differs from the last revision."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from swrepo.catalog.scratch import write_error
from swrepo.errors import SwrepoError
from swrepo.format.dirent import Dirent, Flag
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import basename
from swrepo.publish import claims
from swrepo.publish.archive import Gatherer, Owner
from swrepo.publish.archive_rules import RulesOfArchives
from swrepo.publish.changes import Change
from swrepo.publish.faults import Faults
from swrepo.publish.grafts import Grafts
from swrepo.publish.known_contents import KnownContents
from swrepo.publish.last_revision import Published
from swrepo.publish.layered_changes import LayeredChanges, maker
from swrepo.publish.layered_tree import LayeredTree
from swrepo.publish.limits import LimitCheck
from swrepo.publish.member_content import Porter, Warehouse
from swrepo.publish.member_grafts import MemberGrafts
from swrepo.publish.nesting import CatalogPlaces
from swrepo.publish.opening import OpenRepository
from swrepo.publish.progress import Progress
from swrepo.publish.storage import FlushableStore
from swrepo.repository.revision import Revision

NOBODY = Owner(65534, 65534)
"""Whose directories are that an archive lacks, where its owners are kept. Source: the original's (golden-ingest)."""

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Workplace:
    """What somebody who brings archives has to do with."""

    repository: OpenRepository
    revision: Revision
    gatherer: Gatherer
    warehouse: Warehouse
    now_ns: int
    claims: set[bytes]
    """To be filled: paths that belong to archives, even where a directory that is published has them not."""

    def write(self, path: bytes, content: bytes, mode: int = 0o644) -> None:
        """Have a small file there, made by us and now."""
        stored = self.warehouse.put_whole(path, content)
        file = self._made(path, stat.S_IFREG | mode, stored.flags)
        self.gatherer.tree.put(path, file._replace(size=len(content), digest=stored.digest))

    def symlink(self, path: bytes, target: bytes) -> None:
        """Have a symbolic link there, made by us and now."""
        link = self._made(path, stat.S_IFLNK | 0o777, int(Flag.FILE | Flag.SYMLINK))
        self.gatherer.tree.put(path, link._replace(size=len(target), symlink=target))

    def directory(self, path: bytes) -> None:
        """Have a directory there, made by us and now."""
        self.gatherer.tree.put(path, self._made(path, stat.S_IFDIR | 0o755, int(Flag.DIRECTORY)))

    def _made(self, path: bytes, mode: int, flags: int) -> Dirent:
        seconds, nanoseconds = divmod(self.now_ns, _NANOSECONDS)
        uid, gid = self.gatherer.owner or (0, 0)
        mtime_ns = nanoseconds if self.gatherer.rules.mtime_ns else None
        return Dirent(basename(path), mode, 0, seconds, mtime_ns, uid, gid, flags, 1, b"", None, None)


Bring = Callable[[Workplace], None]
"""Gathers archives. Raises what keeps them from being published."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A pass whose archives are stored. `changes` can be gone through once; then the other values are complete."""

    changes: Iterator[Change]
    layered: LayeredChanges
    revision: Revision
    faults: Faults
    places: CatalogPlaces
    limits: LimitCheck
    claimed: frozenset[bytes]
    gone: tuple[bytes, ...]
    grafts: Grafts

    @property
    def entries(self) -> int:
        return self.layered.entries

    @property
    def linked_elsewhere(self) -> list[bytes]:
        """Archives do not tell whose names are links."""
        return []

    @property
    def remarks(self) -> tuple[str, ...]:
        """What its owner should know of it."""
        return (self.grafts.remark,) if self.grafts.remark else ()

    def published(self, repository: OpenRepository, root_catalog: ObjectId) -> None:
        """Keep what the next publication of a directory has to know: this pass was published as `root_catalog`."""
        del root_catalog
        claims.remove(repository.places.claims, self.gone, self.claimed)


@contextmanager
def gathered(
    repository: OpenRepository,
    bring: Bring,
    owner: Owner | None,
    progress: Progress,
    now_ns: int,
    threads: int | None,
) -> Iterator[Gathered]:
    """Let `bring` gather, then compare with what is published. Stored contents are remembered however the pass ends."""
    settings, storage, base = repository.settings, repository.storage, repository.base
    faults = Faults()
    with ExitStack() as stack:
        known = KnownContents(repository.places.known_contents, settings.ways_of_storing)
        stack.callback(known.close)
        revision = stack.enter_context(Revision(base.root, repository.objects, base.size))
        file = repository.places.scratch / "archive.db"
        stack.enter_context(_in(file))
        tree = LayeredTree(file)
        stack.callback(tree.close)
        last, warehouse = Published(revision), Warehouse.of(settings, storage.store, known)
        with Porter(warehouse, threads) as porter, _kept(storage.store):
            grafts = Grafts(b"", last.chunks, faults, settings.external, settings.compression, storage.store.has)
            of_members = MemberGrafts(tree, last, grafts)
            gatherer = Gatherer(tree, last, porter, settings.rules, faults, progress, owner, of_members)
            claimed: set[bytes] = set()
            bring(Workplace(repository, revision, gatherer, warehouse, now_ns, claimed))
            gatherer.finish()
            claims.add(repository.places.claims, claimed)
        progress.expect_no_more()
        rules = RulesOfArchives(repository, tree, last, faults).apply()
        places = CatalogPlaces(settings.encoder, storage.store, rules, is_merged=True)
        limits = LimitCheck(settings.limits, faults)
        uid, gid = owner or NOBODY
        seconds, nanoseconds = divmod(now_ns, _NANOSECONDS)
        directory = maker(uid, gid, seconds, nanoseconds if settings.mtime_ns else None)
        layered = LayeredChanges(tree, last, places, faults, directory)
        gone = tree.gone()
        yield Gathered(
            limits.files(layered), layered, revision, faults, places, limits, frozenset(claimed), gone, grafts
        )


@contextmanager
def _in(file: Path) -> Iterator[None]:
    """The border to SQLite, which holds what archives bring."""
    try:
        yield
    except sqlite3.Error as error:
        raise write_error("the table of what the archives hold", str(file), error) from error


@contextmanager
def _kept(store: FlushableStore) -> Iterator[None]:
    """What was stored before an archive broke off need not be stored again when it comes whole."""
    try:
        yield
    except BaseException:
        with suppress(SwrepoError, OSError):  # that is less important than what went wrong
            store.flush()
        raise
