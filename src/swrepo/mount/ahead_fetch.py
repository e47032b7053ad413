"""Fetching ahead in one mount: tells the policies what is opened, and has fetched what they choose."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor

from swrepo.errors import SwrepoError
from swrepo.format.object_id import ObjectId
from swrepo.fuse.session import Session
from swrepo.mount.ahead import Ahead
from swrepo.mount.ahead_chunks import ChunksAhead
from swrepo.mount.ahead_lanes import Lanes
from swrepo.mount.ahead_ledger import Ledger, Origin
from swrepo.mount.ahead_walk import walk_from
from swrepo.mount.reads import Reads
from swrepo.objects.store import BringsAhead, Want
from swrepo.repository.content import Content
from swrepo.vfs.tree import Vfs

log = logging.getLogger(__name__)


class ReadingAhead:
    """`opened` and `chunk_read` are called by the loop's thread only, everything else by any."""

    def __init__(self, vfs: Vfs, pool: Executor, session: Session, reads: Reads) -> None:
        self._vfs = vfs
        self.ledger = Ledger()
        self._lanes = Lanes(pool, session, reads, self.ledger)
        self._policy = Ahead(lambda number: walk_from(vfs, number))
        self._chunks = ChunksAhead()
        self._numbers: dict[ObjectId, int] = {}
        self._news: deque[Want | None] = deque()
        self._lanes.on_here = self._news.append
        self._lanes.on_stop = lambda _reason: self._news.append(None)
        self.expects = self._policy.expects

    def fetch(self, wants: Sequence[Want], objects: BringsAhead, origin: Origin) -> None:
        """Have these fetched in this order, behind what somebody waits for and what is more likely to be wanted.

        What is here, or being fetched, is left out. `ledger` counts for `origin` what came, and what of it was used.
        """
        self._lanes.fetch(wants, objects, origin)

    def is_fetching(self, origin: Origin) -> bool:
        """Whether some of what `origin` asked for is yet to be begun."""
        return self._lanes.is_fetching(origin)

    def is_used(self, content: Content, offset: int = 0, size: int | None = None) -> None:
        """Somebody reads these bytes, or opens the file: count it for those who guessed that."""
        if self.ledger.is_waiting:
            for want in content.wants(offset, size):
                self.ledger.opened(want.id)

    def opened(self, number: int) -> None:
        """A file was opened that is not here, or that `expects` says is of interest."""
        while self._news:
            here = self._news.popleft()
            if here is None:
                self._policy.stop()
            elif here.id in self._numbers:
                self._policy.was_here(self._numbers[here.id])
        try:
            with self._vfs.lock:
                files = self._policy.opened(number)
        except SwrepoError as error:
            log.info("nothing is fetched ahead of node %d: %s", number, error)
            self._policy.stop()
            return
        if files:
            self._numbers = {file.want.id: file.number for file in files}
            self.fetch([file.want for file in files], files[0].objects, Origin.WALK)

    def chunk_read(self, number: int, content: Content, offset: int) -> None:
        """A file of many chunks is read, at this byte."""
        wants = self._chunks.read(number, content.chunk_at(offset), content.chunks)
        objects = content.objects
        if wants and isinstance(objects, BringsAhead):
            self.fetch(wants, objects, Origin.CHUNKS)
