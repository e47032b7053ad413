"""Figures of the process that serves a mount, from wherever they are counted."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping

from swrepo import __version__
from swrepo.client.access import Access
from swrepo.fuse.session import Session
from swrepo.fuse.wire import Opcode
from swrepo.mount.latencies import Latencies
from swrepo.mount.logs import RECENT
from swrepo.net.remote import RemoteRepository
from swrepo.vfs.tree import Vfs

_DAY = 86400.0
_KIB = 1024


class Process:
    """See the module. Safe from any thread; nothing here waits."""

    def __init__(self, vfs: Vfs, session: Session, accesses: Callable[[], Mapping[str, Access]]) -> None:
        self._vfs = vfs
        self._session = session
        self._accesses = accesses
        self.version = __version__
        self.latencies = Latencies()
        session.waited = self.latencies.note
        self.started = time.monotonic()
        self.expires_in: Callable[[], float] = lambda: 0.0
        """Seconds until the next look for a new revision."""

    def uptime(self) -> float:
        """Seconds."""
        return time.monotonic() - self.started

    def highest_inode(self) -> int:
        """The highest number that an entry can have by now."""
        spans = self._vfs.nodes.spans()
        return max((span.base + span.size for span in spans), default=1)

    def recent_log(self) -> str:
        """The last lines of the log, the newest last."""
        return RECENT.text

    def cleanups(self) -> int:
        """Clean-ups of the caches within a day."""
        quotas = {access.cache.root: access.cache.quota for access in self._accesses().values()}
        return sum(quota.cleanups_within(_DAY) for quota in quotas.values() if quota is not None)

    def listings(self) -> int:
        """Requests for parts of directories."""
        return self._session.counts[Opcode.READDIR] + self._session.counts[Opcode.READDIRPLUS]

    def files_opened(self) -> int:
        """Files that were opened and read; what the kernel reads from its own cache is not seen here."""
        return self._vfs.opened

    def errors(self) -> int:
        """Requests that were answered with EIO."""
        return self._session.errors.get(errno.EIO, 0)

    def last_error(self) -> int:
        """When one was, in Unix seconds; 0 for never."""
        return int(self._session.last_error)

    def reset_errors(self) -> None:
        """Begin to count anew."""
        self._session.errors.clear()
        self._session.last_error = 0.0

    def external_proxies(self) -> str:
        """Of servers of external content."""
        configured = {access.request.network.external.proxies for access in self._accesses().values()}
        return "".join(f"{text}\n" for one in sorted(configured) for text in one.split(";"))

    def speed(self) -> int:
        """KiB per second while something was on its way."""
        received = seconds = 0.0
        for remote in self.remotes():
            received += remote.traffic.received_bytes
            seconds += remote.traffic.seconds
        return int(received / seconds / _KIB) if seconds else 0

    def remotes(self) -> list[RemoteRepository]:
        """The repositories that are at servers."""
        documents = [access.documents for access in self._accesses().values()]
        return [one for one in documents if isinstance(one, RemoteRepository)]
