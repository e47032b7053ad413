"""Looks for a new revision of a mounted repository and shows it, telling the kernel just what changed.

When: the repository's TTL has passed, somebody asks on the control socket, or SIGHUP came.
"""

from __future__ import annotations

import logging
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from swrepo.client.access import Access
from swrepo.errors import SwrepoError
from swrepo.format.object_id import ObjectId
from swrepo.fuse.session import Session
from swrepo.mount.outage import Outage
from swrepo.repository.revision import Revision
from swrepo.vfs.journal import Stale
from swrepo.vfs.past import EPOCHS
from swrepo.vfs.succession import Succession
from swrepo.vfs.tree import ROOT_NODE, StaleNode, Vfs
from swrepo.vfs.volume import Volume

log = logging.getLogger(__name__)

_SHORT_TTL = 180
"""Seconds until the next look after one that failed. Source: format.md 11."""


class Refresher:
    """Refreshes one volume of a Vfs. `refresh` may be called from any thread but the loop's; one at a time runs."""

    def __init__(self, vfs: Vfs, name: str, access: Access, session: Session) -> None:
        self._vfs = vfs
        self._name = name
        self._access = access
        self._session = session
        self._lock = threading.Lock()
        self.outage = Outage()

    @property
    def access(self) -> Access:
        return self._access

    def refresh(self) -> str:
        """Show the server's revision if it is another; a sentence about what happened. Raises what fetching raises."""
        with self._lock:
            before = self._access.revision.number
            revision = self._access.newer()
            if revision is None:
                return (
                    f"revision {before} is the newest" if not self._access.is_fixed else f"fixed at revision {before}"
                )
            return self._show(revision)

    def announced(self, manifest: bytes) -> str:
        """The same with a signed manifest that came by itself."""
        with self._lock:
            revision = self._access.announced(manifest)
            return f"revision {self._access.revision.number} is shown" if revision is None else self._show(revision)

    def show(self, root: ObjectId) -> str:
        """Show the revision of this root catalog, and no other from now on. The caller vouches for it."""
        with self._lock:
            if root != self._access.revision.root:
                self._show(Revision(root, self._access.cache))
            self._access.fix(root)
            return f"fixed at revision {self._access.revision.number}"

    def _show(self, revision: Revision) -> str:
        """With the lock held: put `revision`, which is closed if that fails, in the place of the one that is shown."""
        before = self._access.revision.number
        succession = Succession(self._vfs, self._vfs.volumes[self._name], revision)
        try:
            stale = self._succeed(succession)
        except BaseException:
            revision.close()
            raise
        self._access.replace(revision)
        # Without the lock: the kernel first waits for requests in these directories, which the loop has to answer.
        tell_kernel(self._vfs, self._session, stale)
        if self._vfs.volumes[self._name].epoch % (EPOCHS // 2) == 0:
            self._drop_listings()
        log.info("%s: revision %d follows %d", self._access.fqrn, revision.number, before)
        return f"revision {revision.number} follows {before}"

    def _drop_listings(self) -> None:
        """The kernel must not hold a listing until its cookies, which tell EPOCHS revisions apart, mean another one."""
        for number in known_directories(self._vfs, self._vfs.volumes[self._name]):
            self._session.forget_inode(number)

    def _succeed(self, succession: Succession) -> Stale:
        while True:
            succession.prepare()
            with self._vfs.lock:
                volume = self._vfs.volumes[self._name]
                outdated = volume.previous
                stale = succession.apply()
                if stale is not None:
                    if outdated is not None:
                        outdated.close()
                    return stale


def tell_kernel(vfs: Vfs, session: Session, stale: Stale) -> None:
    """Have the kernel forget what is stale. Never with the lock of the Vfs held, nor on the loop."""
    for directory, name in stale.entries:
        session.forget_entry(directory, name)
    for number in stale.nodes:
        session.forget_inode(number)
    with vfs.lock:
        vfs.was_told()


def known_directories(vfs: Vfs, volume: Volume) -> list[int]:
    """The numbers by which the kernel knows directories of a repository. Takes the lock for one at a time."""
    with vfs.lock:
        spans = [span for span in vfs.nodes.spans() if span.owner is volume]
        numbers = [span.base + row for span in spans for row in vfs.nodes.rows_known(span)]
    found = [] if volume.name else [ROOT_NODE]
    for number in numbers:
        with vfs.lock, suppress(StaleNode):  # it was forgotten meanwhile
            if stat.S_ISDIR(vfs.status(number).mode):
                found.append(number)
    return found


class Timer:
    """Refreshes every so often in a thread of its own. `longest`: seconds that bound what a repository says."""

    def __init__(self, refreshers: Callable[[], list[Refresher]], longest: int | None) -> None:
        self._refreshers = refreshers
        self._longest = longest
        self._wake = threading.Event()
        self._stopped = False
        self._due = 0.0
        self._thread = threading.Thread(target=self._run, name="refresh", daemon=True)

    def start(self) -> None:
        """Begin to wait."""
        self._thread.start()

    def now(self) -> None:
        """Look at once."""
        self._wake.set()

    def stop(self) -> None:
        """End; a refresh under way goes on until it is done."""
        self._stopped = True
        self._wake.set()

    @property
    def expires_in(self) -> float:
        """Seconds until the next look, at least 0."""
        return max(0.0, self._due - time.monotonic())

    @property
    def longest(self) -> int | None:
        """See the class; may be set, and holds from the next look on."""
        return self._longest

    @longest.setter
    def longest(self, seconds: int | None) -> None:
        self._longest = seconds
        self._wake.set()

    def _run(self) -> None:
        failed = False
        while True:
            pause = _SHORT_TTL if failed else self._pause()
            self._due = time.monotonic() + pause
            self._wake.wait(pause)
            self._wake.clear()
            if self._stopped:
                return
            outcomes = [self._attempt(refresher) for refresher in self._refreshers()]
            failed = not all(outcomes)

    def _pause(self) -> int:
        pauses = [refresher.access.ttl for refresher in self._refreshers()] or [_SHORT_TTL]
        shortest = min(pauses)
        return max(1, shortest if self._longest is None else min(shortest, self._longest))

    def _attempt(self, refresher: Refresher) -> bool:
        fqrn = refresher.access.fqrn
        try:
            refresher.refresh()
        except Exception as error:
            if self._stopped:  # what was under way was broken off
                pass
            elif isinstance(error, SwrepoError):
                refresher.outage.failed(fqrn, error)
            else:
                log.exception("%s stays at its revision", fqrn)
            return False
        refresher.outage.over(fqrn)
        return True
