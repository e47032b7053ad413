"""Which files a mount was asked for, in order: a small ring that is always kept, and more of it when it is told to.

Only what reaches this process is seen: a file whose bytes the kernel holds is not opened here. To trace, the kernel is
therefore told to forget the bytes that it holds of this mount.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from swrepo.errors import SwrepoError, UsageError
from swrepo.format import opening
from swrepo.format.opening import Opening
from swrepo.fuse.session import Session
from swrepo.repository.content import Content
from swrepo.vfs.tree import Vfs

KEPT = 4096
"""Openings that are always remembered."""

MOST = 2_000_000
"""And while somebody traces."""


class FileRead(NamedTuple):
    """A read, by a process, of a file that was not open (`is_new`) or that has many chunks."""

    node: int
    pid: int
    content: Content
    offset: int
    size: int
    is_new: bool


class _Seen(NamedTuple):
    time: float
    pid: int
    node: int
    offset: int | None
    path: bytes | None


class Openings:
    """One for a mount. The loop's thread notes, any may ask. `fqrn`: of a repository by its name in the mount.

    `is_tracing`: somebody traces from the start.
    """

    def __init__(
        self,
        vfs: Vfs,
        session: Session,
        fqrn: Callable[[str], str | None],
        *,
        is_tracing: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vfs = vfs
        self._session = session
        self._fqrn = fqrn
        self._clock = clock
        self._seen: deque[_Seen] = deque(maxlen=MOST if is_tracing else KEPT)
        self._begin = clock()
        self._is_tracing = is_tracing
        self._catalogs_before: set[tuple[str, bytes]] = set()
        self._last_chunk: dict[int, int] = {}
        self._lock = threading.Lock()  # one command at a time

    def note(self, read: FileRead) -> None:
        """A file is opened, or another chunk of one is read. On the loop's thread."""
        node, content = read.node, read.content
        # Where somebody traces, the path is looked up at once: the kernel may forget the number before they ask.
        path = self._path(node) if self._is_tracing else None
        moment = self._clock() - self._begin
        if not content.chunks:
            self._seen.append(_Seen(moment, read.pid, node, None, path))
            return
        last = max(read.offset, min(read.offset + read.size, content.size) - 1)
        for index in range(content.chunk_at(read.offset), content.chunk_at(last) + 1):
            if self._last_chunk.get(node) != index:
                self._seen.append(_Seen(moment, read.pid, node, content.chunk_start(index), path))
                self._last_chunk[node] = index
        if len(self._last_chunk) > KEPT:
            self._last_chunk.clear()

    def command(self, text: str) -> str:
        """`start` and `stop` of a trace; without a word, what was noted so far."""
        with self._lock:
            if text == "start":
                return self._start()
            if text in ("", "show"):
                return self.lines()
            if text == "stop":
                found = self.lines()
                self._is_tracing = False
                self._seen = deque(maxlen=KEPT)
                return found
        raise UsageError("say trace, trace start, or trace stop")

    def lines(self) -> str:
        """The trace so far: see format.opening."""
        return "\n".join(map(opening.encode, (*self._openings(), *self._catalogs())))

    def _start(self) -> str:
        self._catalogs_before = set(self._loaded())
        self._seen = deque(maxlen=MOST)
        self._last_chunk.clear()
        self._begin = self._clock()
        self._is_tracing = True
        with self._vfs.lock:
            numbers = [span.base + row for span in self._vfs.nodes.spans() for row in self._vfs.nodes.rows_known(span)]
            self._vfs.close_contents()
        for number in numbers:
            self._session.forget_inode(number)
        return f"what is opened is noted from now on; the kernel let go of {len(numbers)} files and directories"

    def _openings(self) -> Iterator[Opening]:
        for seen in list(self._seen):
            path = seen.path if seen.path is not None else self._path(seen.node)
            found = self._split(path)
            if found is not None:
                yield Opening(found[0], found[1], seen.time, seen.pid, seen.offset)

    def _catalogs(self) -> Iterator[Opening]:
        """Nested catalogs that were used since the trace began."""
        if self._is_tracing:
            now = self._clock() - self._begin
            for name, mountpoint in self._loaded():
                fqrn = self._fqrn(name)
                if mountpoint and fqrn is not None and (name, mountpoint) not in self._catalogs_before:
                    yield Opening(fqrn, mountpoint, now, is_catalog=True)

    def _loaded(self) -> list[tuple[str, bytes]]:
        with self._vfs.lock:
            volumes = list(self._vfs.volumes.values())
        return [(volume.name, one.mountpoint) for volume in volumes for one in volume.revision.tree.loaded()]

    def _path(self, node: int) -> bytes:
        try:
            with self._vfs.lock:
                return self._vfs.path(node)
        except SwrepoError:
            return b""

    def _split(self, path: bytes) -> tuple[str, bytes] | None:
        """Repository and path in it. None of what is in no repository any more."""
        if not path.startswith(b"/"):
            return None
        name = ""
        if self._vfs.is_synthetic:
            first, slash, rest = path[1:].partition(b"/")
            name, path = first.decode("ascii", "replace"), slash + rest
        fqrn = self._fqrn(name)
        return None if fqrn is None or not path else (fqrn, path)
