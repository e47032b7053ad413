"""Fetching ahead in one mount: tells the policies what is opened, and has fetched what they choose."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.errors import SwrepoError
from swrepo.format.object_id import ObjectId
from swrepo.fuse.session import Session
from swrepo.mount.ahead import FIRST_CREDIT, MOST_CREDIT, Ahead
from swrepo.mount.ahead_account import Account
from swrepo.mount.ahead_around import Opened, nested_in
from swrepo.mount.ahead_around import opened as around
from swrepo.mount.ahead_catalogs import CatalogsAhead
from swrepo.mount.ahead_chunks import ChunksAhead
from swrepo.mount.ahead_lanes import Lanes
from swrepo.mount.ahead_ledger import Ledger, Origin
from swrepo.mount.ahead_names import NamesAhead
from swrepo.mount.ahead_neighbours import Neighbours
from swrepo.mount.ahead_recent import Recent
from swrepo.mount.ahead_shown import Shown
from swrepo.mount.ahead_walk import walk_from
from swrepo.mount.reads import Reads
from swrepo.objects.store import BringsAhead, Want
from swrepo.repository.content import Content
from swrepo.vfs.entries import volume_of
from swrepo.vfs.tree import Vfs
from swrepo.vfs.volume import Volume

log = logging.getLogger(__name__)

_APART, _FAR = 0.0008, 0.010
"""Seconds that a small object takes, from which on neighbours are guessed, and from which on walks are not.

From a server on the same machine a guess costs as much as it saves; over a long link they bring what a walk would.
"""

FAR_FIRST, _FAR_MOST = 160.0, 1024.0
"""What may be fetched in vain at first over a long link: about 10 MiB, which pack to four."""

_FROM_OPENED = (Origin.NAMED, Origin.NEIGHBOURS)
"""Guesses from what is opened, that lead to further ones when they are used."""

_LOOKED_AT = 256
"""Files that were opened last, whose neighbours are not looked for again when the kernel reads on."""


class ReadingAhead:
    """`opened`, `is_used` and `chunk_read` are called by the loop's thread only, everything else by any.

    `is_on`: otherwise nothing is fetched ahead, by whoever asks for it; see CVMFS_PREFETCH. `guesses`: also what lies
    near an opened file, in a walk or as a neighbour; see CVMFS_PREFETCH_GUESSES. `distance`: seconds that
    a small object of the repository of that name takes. `on_opening` is told in which directories files are opened.
    """

    def __init__(self, vfs: Vfs, pool: Executor, session: Session, reads: Reads) -> None:
        self._vfs = vfs
        self.ledger = Ledger()
        self._lanes = Lanes(pool, session, reads, self.ledger)
        self._account = Account(FIRST_CREDIT, MOST_CREDIT)
        self._policy = Ahead(lambda number: walk_from(vfs, number), self._account)
        self._shown: dict[tuple[str, int], Shown] = {}
        self._catalogs_seen: set[CatalogFile] = set()
        self._was_apart = False
        self._far: set[str] = set()
        self._looked_at: Recent[int] = Recent(_LOOKED_AT)
        self._chunks = ChunksAhead()
        self._numbers: dict[ObjectId, int] = {}
        self._news: deque[Want | None] = deque()
        self._announced: dict[ObjectId, _Announced] = {}
        self._names = NamesAhead(vfs, pool, self._of, self._fetch_named, self._distance_of)
        reads.on_came = self._names.came
        self._lanes.on_came = lambda want: self._names.came(want.id)
        self._lanes.on_catalog = self._catalog_came
        self._lanes.on_here = self._news.append
        self._lanes.on_stop = lambda _reason: self._news.append(None)
        self._lanes.is_far = lambda: bool(self._far)
        self.is_on = self.guesses = True
        self.on_opening: Callable[[bytes], object] | None = None
        self.distance: Callable[[str], float] = lambda _name: 0.0
        self.expects = self._policy.expects

    def has_room(self, has_room: Callable[[], bool]) -> None:
        """What tells whether the cache keeps guesses without letting go of anything."""
        self._lanes.has_room = has_room

    def switch(self, *, is_on: bool) -> None:
        """Fetch ahead or not, from now on; what waits for its turn is given up."""
        self.is_on = is_on
        if not is_on:
            self._lanes.stop("it was switched off")

    def fetch(self, wants: Sequence[Want], objects: BringsAhead, origin: Origin) -> None:
        """Have these fetched in this order, behind what somebody waits for and what is more likely to be wanted.

        What is here, or being fetched, is left out. `ledger` counts for `origin` what came, and what of it was used.
        """
        if self.is_on:
            self._lanes.fetch(wants, objects, origin)

    def _distance_of(self, name: str) -> float:
        return self.distance(name)  # which may be set later

    def _fetch_named(self, wants: Sequence[Want], objects: BringsAhead) -> None:
        if self.guesses:
            self.fetch(wants, objects, Origin.NAMED)

    def bring(self, wants: Sequence[Want], objects: BringsAhead) -> bool:
        """Fetch these for the background fill, in the thread that calls; False where they cannot be kept."""
        return self.is_on and self._lanes.bring(wants, objects, Origin.FILL)

    def is_fetching(self, origin: Origin) -> bool:
        """Whether some of what `origin` asked for is yet to be begun."""
        return self._lanes.is_fetching(origin)

    def is_used(self, number: int, content: Content, offset: int = 0, size: int | None = None) -> None:
        """Somebody reads these bytes, or opens the file: count it for those who guessed that, and guess further."""
        if self.ledger.is_waiting:
            for want in content.wants(offset, size):
                origin = self.ledger.opened(want.id)
                if origin in _FROM_OPENED:
                    self._look_around(number, [want], was_guessed=origin)

    def opened(self, number: int, missing: Want | None) -> None:
        """A file was opened that lacks an object, or that `expects` says is of interest."""
        if not self.is_on:
            return
        try:
            with self._vfs.lock:
                self._hear_news()
                span = self._vfs.nodes.span(number)
                is_far = span is not None and self.distance(volume_of(span).name) >= _FAR
                files = [] if is_far or not self.guesses else self._policy.opened(number)
        except SwrepoError as error:
            self._give_up(number, error)
            return
        if files:
            self._numbers = {file.want.id: file.number for file in files}
            self.fetch([file.want for file in files], files[0].objects, Origin.WALK)
        if missing is not None:
            self._look_around(number, [missing])

    def catalog_loaded(self) -> None:
        """Somebody waited for a catalog, or its opening: fetch those below it. From any thread."""
        if not self.is_on:
            return
        with self._vfs.lock:
            found = [
                (volume, catalog) for volume in self._vfs.volumes.values() for catalog in volume.revision.tree.loaded()
            ]
            for volume, catalog in found:
                if catalog not in self._catalogs_seen and self._is_apart(volume):
                    self._below(volume, catalog)
            self._catalogs_seen = {catalog for volume, catalog in found if self._is_apart(volume)}
            for volume in {id(volume): volume for volume, _ in found}.values():
                self._names.look_again(volume)

    def _below(self, volume: Volume, catalog: CatalogFile) -> None:
        catalogs = self._of(volume).catalogs
        fetched = catalogs.was_fetched_for(catalog.mountpoint)
        if fetched is not None:
            self.ledger.opened(fetched)
        self._fetch_catalogs(volume, catalogs.loaded(catalog.mountpoint, catalog.nested(), self.distance(volume.name)))

    def _fetch_catalogs(self, volume: Volume, refs: Sequence[NestedRef]) -> None:
        objects = volume.revision.objects
        if refs and isinstance(objects, BringsAhead):
            self._announced |= {ref.id: _Announced(volume, volume.epoch, ref.path) for ref in refs}
            self.fetch([Want(ref.id, size=ref.size) for ref in refs], objects, Origin.CATALOGS)

    def _catalog_came(self, want: Want) -> None:
        """Nobody has asked for this catalog yet: fetch what is below it, if it is one of a chain. Runs in the pool."""
        announced = self._announced.pop(want.id, None)
        if announced is None:
            return
        volume = announced.volume
        try:
            below = nested_in(volume.revision.objects, want, announced.path)
            with self._vfs.lock:
                if volume.epoch == announced.epoch:
                    self._fetch_catalogs(volume, self._of(volume).catalogs.came(below, self.distance(volume.name)))
        except SwrepoError as error:
            log.info("nothing is fetched ahead below %r: %s", announced.path, error)
        except Exception:
            log.exception("following a chain of catalogs failed")

    def _of(self, volume: Volume) -> Shown:
        """The policies for the revision that a repository shows; those of an earlier one are forgotten."""
        key = volume.name, volume.epoch
        found = self._shown.get(key)
        if found is None:
            self._names.forget()
            self._shown = {other: shown for other, shown in self._shown.items() if other[0] != volume.name}
            found = self._shown[key] = Shown(Neighbours(self._account), CatalogsAhead(self._account))
        return found

    def _is_apart(self, volume: Volume) -> bool:
        """Whether asking costs more than bytes."""
        distance = self.distance(volume.name)
        if distance < _APART:
            return False
        if not self._was_apart:
            self._was_apart = True
            self._account.widen(FAR_FIRST, _FAR_MOST)
        if distance >= _FAR and volume.name not in self._far:  # known only now, and catalogs may be here for long
            self._far.add(volume.name)
            if self.guesses:
                self._lanes.submit(self.catalog_loaded)
        return True

    def _look_around(self, number: int, wanted: Sequence[Want], *, was_guessed: Origin | None = None) -> None:
        """Some objects of a file are wanted: fetch what is near, where the link is long."""
        try:
            with self._vfs.lock:
                self._hear_news()
                found = self._noticed(number, wanted)
                if found is None:
                    return
                patience = self.distance(found.volume.name)
                shown = self._of(found.volume)
                self._names.opened(found, wanted[0], is_here=was_guessed is not None)
                if was_guessed is Origin.NAMED:  # what is wanted next is named as well
                    return
                wants = shown.neighbours.opened(*found.file, patience, was_guessed=was_guessed is not None)
        except SwrepoError as error:
            self._give_up(number, error)
            return
        if wants:
            self.fetch(wants, found.file.around.objects, Origin.NEIGHBOURS)

    def _noticed(self, number: int, wanted: Sequence[Want]) -> Opened | None:
        """Where a file is, if it is not near and none of those that were looked at just now. With the lock."""
        span = self._vfs.nodes.span(number)
        if span is None:
            return None
        is_apart = self._is_apart(volume_of(span))
        for want in wanted if is_apart else ():
            self._of(volume_of(span)).neighbours.wanted(want)
        if not (is_apart or self.on_opening) or not self._looked_at.add(number):
            return None
        found = around(self._vfs, number)
        if found is not None and self.on_opening is not None:
            self.on_opening(found.file.package)
        return found if is_apart and self.guesses else None

    def _hear_news(self) -> None:
        while self._news:
            here = self._news.popleft()
            if here is None:
                self._policy.stop()
                self._shown.clear()
                self._names.forget()
                self._looked_at.clear()
                self._announced.clear()
                continue
            for shown in self._shown.values():
                shown.neighbours.was_here(here.id)
                shown.catalogs.was_here(here.id)
            if here.id in self._numbers:
                self._policy.was_here(self._numbers[here.id])

    def _give_up(self, number: int, error: SwrepoError) -> None:
        log.info("nothing is fetched ahead of node %d: %s", number, error)
        self._news.append(None)

    def chunk_read(self, number: int, content: Content, offset: int, missing: Want | None) -> None:
        """A file of many chunks is read, at this byte, and may lack that chunk."""
        if not self.is_on:
            return
        if missing is not None:
            self._look_around(number, [missing])
        wants = self._chunks.read(number, content.chunk_at(offset), content.chunks)
        objects = content.objects
        if wants and isinstance(objects, BringsAhead):
            self.fetch(wants, objects, Origin.CHUNKS)


class _Announced(NamedTuple):
    """A catalog that is fetched ahead: where it will be mounted, in which revision that a volume shows."""

    volume: Volume
    epoch: int
    path: bytes
